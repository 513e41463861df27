"""napari's theme as the panel uses it: one accent colour, quiet greys, light and dark."""

from __future__ import annotations

from dataclasses import dataclass

from napari.settings import get_settings
from napari.utils.theme import get_theme


@dataclass(frozen=True, slots=True)
class Palette:
    """The few colours of the panel, as CSS hex strings."""

    dark: bool
    text: str
    quiet: str
    line: str
    raised: str
    base: str
    accent: str
    on_accent: str
    good: str
    warn: str


def palette() -> Palette:
    """The palette of the theme that napari shows now."""
    settings = get_settings()
    name = str(settings.appearance.theme)
    if name == "system":
        from napari.utils.theme import get_system_theme

        name = get_system_theme()
    theme = get_theme(name)
    dark = theme.type == "dark"
    return Palette(
        dark=dark,
        text=theme.text.as_hex(format="long"),
        quiet="#a9b1bb" if dark else "#5b6470",
        line="#3a414b" if dark else "#c9ced4",
        raised="#2f343d" if dark else "#ffffff",
        base=theme.background.as_hex(format="long"),
        accent="#4aa8ff" if dark else "#0067c0",
        on_accent="#0b1a29" if dark else "#ffffff",
        good="#5fd38d" if dark else "#1a7f37",
        warn="#ffb454" if dark else "#9a5b00",
    )


def stylesheet(p: Palette) -> str:
    """The panel's own rules on top of napari's."""
    return f"""
    #noisysegPanel QLabel {{ background: transparent; }}
    #noisysegPanel QLabel[role="quiet"] {{ color: {p.quiet}; }}
    #noisysegPanel QLabel[role="title"] {{ font-weight: 600; }}
    #noisysegPanel QLabel[role="warn"] {{ color: {p.warn}; }}
    #noisysegPanel QPushButton[role="primary"] {{
        background: {p.accent}; color: {p.on_accent}; font-weight: 600;
        border-radius: 4px; padding: 6px 12px; }}
    #noisysegPanel QPushButton[role="primary"]:disabled {{ background: {p.line}; color: {p.quiet}; }}
    #noisysegPanel QFrame[role="rule"] {{ background: {p.line}; max-height: 1px; border: none; }}
    """
