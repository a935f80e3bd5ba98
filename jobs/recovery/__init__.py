"""The room of acting: plans become attempts and Jobs (launcher), an attempt its act and its proof (recoverer)."""
