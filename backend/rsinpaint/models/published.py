"""Published weight files on Google Drive: what `models fetch` finds without a card. Needs no torch."""

from dataclasses import dataclass

SYSTEMS = ("cmun", "ecea", "edge_learning", "spa_gan")
"""The keys of `importers.IMPORTERS` once more, since reading those takes torch; a test holds the two together."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """One weights file on Google Drive, in the form in which its authors saved it."""

    id: str
    """Of the model that it becomes."""
    title: str
    file: str
    """Its published name."""
    drive_id: str
    importer: str
    """One of `SYSTEMS`."""
    licence: str
    about_bytes: int
    sha256: str | None = None
    """Of the published file; None: nobody has pinned it for all, so the first fetch of each user does for him."""

    @property
    def page(self) -> str:
        """Where a browser gets it."""
        return f"https://drive.google.com/uc?id={self.drive_id}"


PUBLISHED = (
    Published(
        id="ecea",
        title="ECEA, of Landsat 7 in true colour; EET is the same network and file",
        file="EET.pth",
        drive_id="1yon1mfSKmjiEAsK-MTebKZclp1GoZj99",
        importer="ecea",
        licence="MIT, Chowdz/ecea and Chowdz/landsat-7_eet",
        about_bytes=503_400_000,
    ),
)


def published(model_id: str) -> Published | None:
    """The published file that becomes a model of this id, or None."""
    return next((one for one in PUBLISHED if one.id == model_id), None)
