"""What a person is told when something is wrong: what, where, and how to mend it."""


class NoisySegError(Exception):
    """Wrong input or an impossible request; the message says what, where and how to mend it.

    The command line prints it on one line and exits with 2; the GUI shows it as a notice.
    """


class JobError(NoisySegError):
    """A job that was rightly asked for failed while it ran; the command line exits with 1."""
