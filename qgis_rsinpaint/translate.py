"""Translation, as a bare function.

`pylupdate5` files `self.tr("x")` under the class in which it is written, while `tr` of a QObject asks for the class
of the object: strings of a base class would stay untranslated. Bare calls are filed under `@default`.
"""

from qgis.PyQt.QtCore import QCoreApplication


def tr(text: str) -> str:
    """`text` in the user's language. Fill in values afterwards, with `.format()`."""
    return QCoreApplication.translate("@default", text)
