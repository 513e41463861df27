"""A method's settings as a form: what matters first, the rest under “More”."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QFocusEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QWidget,
)

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.widgets.parts import More
from napari_noisyseg.gui.widgets.schema import FormField, Value, form_fields
from napari_noisyseg.method import PRESET_WORDS


class Editor(Protocol):
    """What every editor of a setting can do."""

    changed: Any

    def get(self) -> Value:
        """The value as it stands; raises ValueError when it is none."""
        ...

    def set(self, value: Value) -> None:
        """Show this value."""
        ...


class BoolEdit(QCheckBox):  # type: ignore[misc]
    """A yes or no."""

    changed = Signal()

    def __init__(self, field: FormField) -> None:
        super().__init__()
        self.toggled.connect(lambda _: self.changed.emit())

    def get(self) -> bool:
        """Checked or not."""
        return bool(self.isChecked())

    def set(self, value: Value) -> None:
        """Check it or not."""
        self.setChecked(bool(value))


class IntEdit(QLineEdit):  # type: ignore[misc]
    """A whole number of any size; napari's style leaves a spin box without buttons blank."""

    changed = Signal()

    def __init__(self, field: FormField) -> None:
        super().__init__()
        self.textChanged.connect(lambda _: self.changed.emit())

    def get(self) -> int:
        """The number shown."""
        return int(self.text().strip())

    def set(self, value: Value) -> None:
        """Show this number."""
        self.setText(str(int(value)))


class FloatEdit(QLineEdit):  # type: ignore[misc]
    """A number written as Python writes it, so that 1e-4 stays 1e-4."""

    changed = Signal()

    def __init__(self, field: FormField) -> None:
        super().__init__()
        self.textChanged.connect(lambda _: self.changed.emit())

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Select all, so that typing replaces the number."""
        super().focusInEvent(event)
        self.selectAll()

    def get(self) -> float:
        """The number shown; a decimal comma is understood."""
        return float(self.text().strip().replace(",", "."))

    def set(self, value: Value) -> None:
        """Show this number in the fewest digits that read back to it."""
        self.setText(repr(float(value)))
        self.setCursorPosition(0)


class StrEdit(QLineEdit):  # type: ignore[misc]
    """A word."""

    changed = Signal()

    def __init__(self, field: FormField) -> None:
        super().__init__()
        self.textChanged.connect(lambda _: self.changed.emit())

    def get(self) -> str:
        """The word shown."""
        return str(self.text())

    def set(self, value: Value) -> None:
        """Show this word."""
        self.setText(str(value))


class ChoiceEdit(QComboBox):  # type: ignore[misc]
    """One of a few."""

    changed = Signal()

    def __init__(self, field: FormField) -> None:
        super().__init__()
        for choice in field.choices:
            self.addItem(_choice_words(field.name, choice), choice)
        self.currentIndexChanged.connect(lambda _: self.changed.emit())

    def get(self) -> Value:
        """The choice made, of the type the setting has."""
        value: Value = self.currentData()
        return value

    def set(self, value: Value) -> None:
        """Choose it."""
        self.setCurrentIndex(self.findData(value))


def _choice_words(setting: str, choice: Any) -> str:
    """A choice as the menu has it; of a preset also what it makes of the method."""
    if setting == "preset" and choice in PRESET_WORDS:
        return f"{choice}: {PRESET_WORDS[choice]}"
    return str(choice)


_EDITORS: dict[str, Any] = {
    "bool": BoolEdit,
    "int": IntEdit,
    "float": FloatEdit,
    "str": StrEdit,
    "choice": ChoiceEdit,
}


class ConfigForm(QWidget):  # type: ignore[misc]
    """The settings of one method. `changed` is emitted on every edit by a person.

    `presets` maps a preset's name to what it changes from the schema's defaults; choosing another
    preset moves the settings that still stand at their default and leaves the edited ones. With
    `automatic` the choice of a preset is left to the run by default; it names the likely one.
    `reasons` say, preset by preset, why a setting is not the paper's; tool tips tell.
    """

    changed = Signal()

    def __init__(
        self,
        schema: Mapping[str, Any],
        presets: Mapping[str, Mapping[str, Value]] | None = None,
        hidden: Sequence[str] = (),
        automatic: str | None = None,
        reasons: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__()
        self._automatic, self._reasons = automatic, reasons or {}
        self._fields = {field.name: field for field in form_fields(schema, hidden)}
        self._presets = presets or {}
        self._editors: dict[str, Any] = {}
        self._build()
        self._preset: str | None = None
        self.set_values({name: field.default for name, field in self._fields.items()})
        if automatic is not None and "preset" in self._editors:
            self._editors["preset"].insertItem(0, f"automatic ({automatic})", None)
            self._editors["preset"].set(None)
        self.set_values(self.defaults())
        for editor in self._editors.values():
            editor.changed.connect(self._edited)

    def _build(self) -> None:
        body = QWidget()
        shown, rest = _rows(self), _rows(body)
        for field in self._fields.values():
            editor = _EDITORS[field.kind](field)
            editor.setToolTip(field.help)
            editor.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            editor.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            editor.installEventFilter(self)
            label = QLabel(field.label)
            label.setToolTip(field.help)
            (shown if field.important else rest).addRow(label, editor)
            self._editors[field.name] = editor
        if rest.rowCount():
            shown.addRow(More(body))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Scrolling past a setting must not change it."""
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False

    def editor(self, name: str) -> Any:
        """The widget of one setting."""
        return self._editors[name]

    def defaults(self, preset: str | None = None) -> dict[str, Value]:
        """Every setting's value under a preset (the one shown, by default), itself left out."""
        start = {name: f.default for name, f in self._fields.items() if name != "preset"}
        changes = self._presets.get(preset or self.shown_preset() or "", {})
        return start | {name: value for name, value in changes.items() if name in start}

    def values(self) -> dict[str, Value]:
        """Every setting as shown; raises NoisySegError naming the one that cannot be."""
        found = {name: self._value(name) for name in self._editors if name != "preset"}
        chosen = self._editors["preset"].get() if "preset" in self._editors else None
        return found if chosen is None else {"preset": chosen, **found}

    def changes(self) -> dict[str, Value]:
        """What a run's config must say: the preset, unless automatic, and what differs from it."""
        defaults = self.defaults()
        return {k: v for k, v in self.values().items() if k not in defaults or v != defaults[k]}

    def set_automatic(self, preset: str) -> None:
        """Another preset is likely where the choice is left to the run; edited settings stay."""
        if self._automatic in (None, preset) or "preset" not in self._editors:
            return
        self._automatic = preset
        self._editors["preset"].setItemText(0, f"automatic ({preset})")
        self._edited()

    def set_values(self, values: Mapping[str, Value]) -> None:
        """Show these values; names that are not here are passed over."""
        for name in sorted(values.keys() & self._editors.keys(), key=lambda n: n != "preset"):
            self._editors[name].blockSignals(True)
            self._editors[name].set(values[name])
            self._editors[name].blockSignals(False)
        self._preset = self.shown_preset()
        self._mark()

    def problem(self) -> str:
        """What cannot be, in words; empty when all is well."""
        try:
            self.values()
        except NoisySegError as error:
            return str(error)
        return ""

    def _value(self, name: str) -> Value:
        field = self._fields[name]
        try:
            value: Value = self._editors[name].get()
        except ValueError:
            text = self._editors[name].text()
            kind = "whole number" if field.kind == "int" else "number"
            raise NoisySegError(f"{field.label}: {text!r} is not a {kind}") from None
        if problem := field.problem(value):
            raise NoisySegError(problem)
        return value

    def shown_preset(self) -> str | None:
        """The preset chosen, or the likely one where the choice is left to the run."""
        if "preset" not in self._editors:
            return None
        chosen: str | None = self._editors["preset"].get()
        return chosen or self._automatic

    def _edited(self) -> None:
        preset = self.shown_preset()
        if preset != self._preset:
            self._follow_preset(self.defaults(self._preset), self.defaults(preset))
        self._mark()
        self.changed.emit()

    def _follow_preset(self, old: Mapping[str, Value], new: Mapping[str, Value]) -> None:
        moved = {}
        for name, value in new.items():
            with suppress(NoisySegError):
                if self._value(name) == old[name]:
                    moved[name] = value
        self.set_values(moved)

    def _mark(self) -> None:
        for name, editor in self._editors.items():
            problem = ""
            try:
                self._value(name)
            except NoisySegError as error:
                problem = str(error)
            editor.setToolTip(problem or self._help(name))
            if isinstance(editor, FloatEdit | IntEdit):
                editor.setStyleSheet("border: 1px solid #d1495b;" if problem else "")

    def _help(self, name: str) -> str:
        """What a setting is, and why the preset's value is not the paper's."""
        preset = self.shown_preset() or ""
        why = self._reasons.get(preset, {}).get(name)
        words = self._fields[name].help
        return words if why is None else f"{words}\n\nIn {preset}: {why}"


def _rows(parent: QWidget) -> QFormLayout:
    layout = QFormLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    return layout
