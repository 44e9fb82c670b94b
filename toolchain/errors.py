"""What can go wrong: a message says object, what it is, what is allowed, what to do."""


class SnnDeployError(Exception):
    """Root of all errors that are the input's fault; the command line exits with 2."""


class ModelError(SnnDeployError):
    """A model file or a Graph is missing, damaged or inconsistent."""


class UnsupportedLayer(ModelError):
    """A layer, or a chain of layers, has no equivalent here."""


class DoesNotFit(SnnDeployError):
    """A number exceeds what the arithmetic or the chip can hold."""


class BundleError(SnnDeployError):
    """A bundle is missing, damaged, hostile or of a newer schema."""


class TargetUnavailable(SnnDeployError):
    """A target is unknown, or its library is missing here."""


class DataError(SnnDeployError):
    """Samples, images or boxes are missing, damaged or of the wrong shape."""
