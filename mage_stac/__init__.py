"""mage-stac: map disaster damage where no labels exist, STAC in and STAC out."""

__version__ = "0.1.0"
