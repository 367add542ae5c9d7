"""Help pages: written once, in Markdown (`docs/`), shown by QGIS as HTML.

QTextDocument reads Markdown, too, but gives back pages full of fixed fonts and colours.
"""

from __future__ import annotations

import html
import re

SPANS = (
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<b>\1</b>"),
    (re.compile(r"(?<![*\w])\*([^*\s][^*]*)\*"), r"<i>\1</i>"),
    (re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)"), r'<a href="\2">\1</a>'),
)


def to_html(markdown: str) -> str:
    """Headings, paragraphs, one level of lists, code, bold, italic, links. The title is left out: the dialog has it.

    >>> to_html("# Title\\n\\nSome *text*\\n\\n## More\\n\\n- one\\n- `two`")
    '<p>Some <i>text</i></p>\\n<h3>More</h3>\\n<ul><li>one</li><li><code>two</code></li></ul>'
    """
    parts = []
    for block in re.split(r"\n\s*\n", markdown.strip()):
        if block.startswith("# "):
            continue
        if block.startswith("#"):
            parts.append(f"<h3>{_spans(block.lstrip('#').strip())}</h3>")
        elif re.match(r"[-*] ", block):
            items = re.split(r"\n[-*] ", "\n" + block)[1:]
            parts.append("<ul>" + "".join(f"<li>{_spans(item)}</li>" for item in items) + "</ul>")
        else:
            parts.append(f"<p>{_spans(block)}</p>")
    return "\n".join(parts)


def _spans(text: str) -> str:
    text = html.escape(" ".join(text.split()), quote=False)
    for pattern, replacement in SPANS:
        text = pattern.sub(replacement, text)
    return text
