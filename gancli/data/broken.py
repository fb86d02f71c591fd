"""What is the matter with a single image."""


class BrokenImage(Exception):
    """A file that cannot be used; the message is the reason."""
