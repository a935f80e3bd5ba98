; The decoy's guest: a brick slides over coloured bands and the PC speaker beeps, in one boot sector.
; Built by `nasm -f bin -o guest.bin guest.asm`; the binary is kept beside it, so that a decoy needs no assembler.
;
; Keys: f freeze, b blank (black), u one blue colour, h halt the processor, g go on from the start.
; It sleeps between timer interrupts (18.2 a second, the BIOS default) and redraws one column of what the brick leaves,
; because a decoy may cost no more than a few percent of a core.

bits 16
cpu 386
org 0x7c00

WIDTH       equ 320
SCREEN      equ WIDTH * 200
BAND_ROWS   equ 8                       ; 25 bands: no colour has more than 1/25 of the screen
BAND_COLOUR equ 104                     ; default palette: 104-127 is the dark hue circle, 32-55 the bright one
BRICK_FIRST equ 32
BRICK_LAST  equ 55
RED         equ 40
BRICK_WIDTH equ 48
BEEP        equ 2711                    ; 1,193,182 Hz / 440 Hz

start:
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7c00
        push    0xa000
        pop     es
        cld
        mov     al, 0xb6                ; timer channel 2, square wave
        out     0x43, al
        mov     ax, BEEP
        out     0x42, al
        mov     al, ah
        out     0x42, al
        in      al, 0x61
        or      al, 3                   ; speaker gate on
        out     0x61, al
        sti

show:
        mov     ax, 0x0013              ; 320 x 200, 256 colours
        int     0x10
        mov     byte [colour], RED
        mov     byte [moves], 1

bands:
        xor     di, di
        mov     al, BAND_COLOUR
.band:
        mov     cx, WIDTH * BAND_ROWS
        rep     stosb
        inc     al
        cmp     di, SCREEN
        jb      .band
        mov     si, 1                   ; the brick's left edge

frame:
        hlt
        mov     ah, 1                   ; is a key waiting?
        int     0x16
        jnz     key
        cmp     byte [moves], 0
        je      frame
        mov     al, [colour]
        mov     dx, 88
        mov     cx, BRICK_WIDTH
        mov     bp, 24
        call    rectangle
        push    si
        add     si, 6
        call    stud
        add     si, 24
        call    stud
        pop     si
        inc     si
        cmp     si, WIDTH - BRICK_WIDTH
        jb      frame
        inc     byte [colour]           ; another colour each pass, so that no two passes look alike
        cmp     byte [colour], BRICK_LAST
        jbe     bands
        mov     byte [colour], BRICK_FIRST
        jmp     bands

key:
        xor     ah, ah
        int     0x16
        cmp     al, 'g'
        je      show
        cmp     al, 'h'
        je      halt
        cmp     al, 'f'
        je      freeze
        mov     ah, 0                   ; black
        cmp     al, 'b'
        je      fill
        mov     ah, 1                   ; blue
        cmp     al, 'u'
        jne     frame
fill:
        mov     al, ah
        xor     di, di
        mov     cx, SCREEN
        rep     stosb
freeze:
        mov     byte [moves], 0
        jmp     frame

halt:
        cli
        hlt
        jmp     halt

stud:
        mov     dx, 83
        mov     cx, 12
        mov     bp, 5
; Draw bp rows of cx pixels in colour al at (si, dx), and give the column left of them its band's colour back.
rectangle:
.row:
        imul    di, dx, WIDTH
        add     di, si
        mov     ah, dl
        shr     ah, 3
        add     ah, BAND_COLOUR
        mov     [es:di - 1], ah
        push    cx
        rep     stosb
        pop     cx
        inc     dx
        dec     bp
        jnz     .row
        ret

        times 510 - ($ - $$) db 0
        dw      0xaa55                  ; boot signature

; Just past the boot sector, in memory that nothing else uses.
colour  equ     0x7e00
moves   equ     0x7e01
