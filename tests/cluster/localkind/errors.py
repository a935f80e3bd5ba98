"""The one error of localkind."""


class LocalkindError(Exception):
    """Something that the caller must know, as one sentence."""
