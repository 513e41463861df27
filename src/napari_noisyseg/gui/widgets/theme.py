"""napari's theme as the panel uses it: one accent colour, quiet greys, light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari.settings import get_settings
from napari.utils.theme import get_theme


@dataclass(frozen=True, slots=True)
class Palette:
    """The few colours of the panel, as CSS hex strings."""

    dark: bool
    text: str
    quiet: str
    faint: str
    line: str
    raised: str
    base: str
    accent: str
    on_accent: str
    good: str
    warn: str
    id: str = "dark"


THEME = "noisysegTheme"
"""property of a widget: the theme of its window, which may be another than that of the settings"""


def palette(widget: Any = None) -> Palette:
    """The palette of the theme that a widget's window shows now; without one, of the settings."""
    name = None
    while widget is not None and not name:
        name, widget = widget.property(THEME), widget.parentWidget()
    name = str(name or get_settings().appearance.theme)
    if name == "system":
        from napari.utils.theme import get_system_theme

        name = get_system_theme()
    theme = get_theme(name)
    dark = theme.type == "dark"
    return Palette(
        dark=dark,
        text=theme.text.as_hex(format="long"),
        quiet="#a9b1bb" if dark else "#5b6470",
        faint="#6d7680" if dark else "#98a0a9",
        line="#3f4752" if dark else "#c9ced4",
        raised="#2d323b" if dark else "#ffffff",
        base=theme.background.as_hex(format="long"),
        accent="#4aa8ff" if dark else "#0067c0",
        on_accent="#0b1a29" if dark else "#ffffff",
        good="#5fd38d" if dark else "#1a7f37",
        warn="#ffb454" if dark else "#8f5400",
        id=theme.id,
    )


def stylesheet(p: Palette) -> str:
    """The panel's own rules on top of napari's."""
    panel = "#noisysegPanel"
    return f"""
    {panel} QLabel {{ background: transparent; }}
    {panel} QLabel[role="quiet"] {{ color: {p.quiet}; }}
    {panel} QLabel[role="title"] {{ font-weight: 600; }}
    {panel} QLabel[role="warn"] {{ color: {p.warn}; }}
    {panel} QFrame[role="rule"] {{ background: {p.line}; max-height: 1px; border: none; }}
    {panel} QPushButton {{ background: {p.raised}; border: 1px solid {p.line}; border-radius: 4px;
        padding: 4px 10px; }}
    {panel} QPushButton:hover {{ border-color: {p.quiet}; }}
    {panel} QPushButton:pressed {{ background: {p.line}; }}
    {panel} QPushButton:disabled {{ color: {p.faint}; background: transparent; }}
    {panel} QPushButton[role="primary"] {{ background: {p.accent}; color: {p.on_accent};
        border: none; font-weight: 600; padding: 7px 12px; }}
    {panel} QPushButton[role="primary"]:disabled {{ background: {p.line}; color: {p.quiet}; }}
    {panel} QToolButton[role="tool"] {{ background: {p.raised}; border: 1px solid {p.line};
        border-radius: 4px; padding: 6px 2px; }}
    {panel} QToolButton[role="tool"]:hover {{ border-color: {p.quiet}; }}
    {panel} QToolButton[role="tool"]:checked {{ background: {p.accent}; color: {p.on_accent};
        border-color: {p.accent}; font-weight: 600; }}
    {panel} QToolButton[role="menu"] {{ background: transparent; border: none; font-weight: 700;
        font-size: 13pt; padding: 0 6px; color: {p.text}; }}
    {panel} QToolButton[role="menu"]:hover {{ background: {p.line}; border-radius: 4px; }}
    {panel} QToolButton[role="menu"]::menu-indicator {{ image: none; width: 0; }}
    {panel} QToolButton[role="more"] {{ background: transparent; border: none; color: {p.quiet};
        padding: 2px 0; }}
    {panel} QToolButton[role="more"]:hover {{ color: {p.text}; }}
    {panel} QLineEdit {{ background: {p.raised}; border: 1px solid {p.line}; padding: 2px 5px; }}
    {panel} QComboBox {{ background: {p.raised}; border: 1px solid {p.line}; }}
    {panel} QListWidget {{ background: {p.raised}; border: 1px solid {p.line};
        border-radius: 4px; padding: 2px; }}
    {panel} QListWidget::item {{ padding: 2px 4px; border-radius: 3px; }}
    {panel} QListWidget::item:selected {{ background: {p.line}; color: {p.text}; }}
    {panel} QListWidget::indicator {{ width: 12px; height: 12px; padding: 1px;
        border: 1px solid {p.quiet}; border-radius: 3px; background: {p.base}; }}
    {panel} QListWidget::indicator:checked {{ image: url("theme_{p.id}:/check.svg"); }}
    """
