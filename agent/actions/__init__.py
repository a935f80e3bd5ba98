"""One act a file, a closed list: each can be done twice, measures whether it held, and says why it can't be done."""
