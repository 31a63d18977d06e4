"""The errors that a user meets: each message is one line that says what was given, where, and what to do."""


class MageStacError(Exception):
    """Base of every error raised for bad input or a failed step; the CLI prints it as one line and exits 1."""


class SearchError(MageStacError):
    """A STAC API or catalogue could not be searched."""


class PushError(MageStacError):
    """A catalogue could not be brought to a server."""


class CatalogueError(MageStacError):
    """A catalogue on disk is missing, broken, or could not be written."""


class AssetError(MageStacError):
    """An Item lacks an asset, or the asset's file cannot be read or contradicts its metadata."""

    def __init__(self, message: str, *, asset: str = "") -> None:
        super().__init__(message)
        self.asset = asset or message
        """Which asset of which Item, where that is known: several errors may be about one."""


class GridError(MageStacError):
    """Grids or footprints do not fit together."""


class PlaceError(MageStacError):
    """Data of a real place cannot be read, contradict themselves, or make no scene."""


class RenderError(MageStacError):
    """Blender is missing, failed, or a scene cannot be rendered."""


class RecipeError(MageStacError):
    """A recipe, preset or checkpoint does not fit what is asked of it."""


class ModelError(MageStacError):
    """A model Item is incomplete or does not fit the imagery."""


class HazardError(MageStacError):
    """A hazard's intensity is out of range, or the scene lacks what the hazard acts on."""


class AccessError(MageStacError):
    """Roads are none, or a place is not on them or cannot be reached by them."""


class ServeError(MageStacError):
    """A catalogue cannot be served: a port that is taken, or software that is not installed."""


def reason(error: OSError) -> str:
    """What the system said, in a few words that suit one line."""
    return error.strerror or str(error).splitlines()[0]
