"""Components by name: each kind (model, dataset) has one registry, filled by the files of its folder and by plugins.

A component is found by its name and never by a dotted path: configs travel in checkpoints, and a path in
one would run code on the reader's machine.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, TypeVar

from gancli.errors import UsageError, UserError, near

PLUGIN_GROUP = "gancli.plugins"
Built = TypeVar("Built", bound=Callable[..., Any])  # what is registered: a class or a function
_plugins_loaded = False


@dataclass(frozen=True)
class Component:
    """A registered builder with the dataclass of its options."""

    name: str
    build: Any
    options: type


@dataclass
class Registry:
    """The components of one kind; a name is looked for in the module of that name under `package` first, then in all."""

    kind: str
    package: str
    _components: dict[str, Component] = field(default_factory=dict)

    def register(self, name: str, options: type) -> Callable[[Built], Built]:
        """Decorate a class or function: `@models.register("dcgan", options=DCGANOptions)`."""

        def decorate(build: Built) -> Built:
            known = self._components.get(name)
            if known is not None and known.build.__module__ != build.__module__:
                raise UsageError(f"Two {self.kind}s are called {name}: {known.build.__module__} and {build.__module__}.")
            self._components[name] = Component(name, build, options)
            return build

        return decorate

    def names(self) -> list[str]:
        """Return every registered name, plugins included (imports the whole package)."""
        load_plugins()
        for module in self._modules():
            importlib.import_module(f"{self.package}.{module}")
        return sorted(self._components)

    def get(self, name: str) -> Component:
        """Return the component called `name`; a UsageError with near matches for anything that is none."""
        if isinstance(name, str) and name not in self._components and name in self._modules():
            load_plugins()  # one of the same name is refused
            importlib.import_module(f"{self.package}.{name}")
        if not isinstance(name, str) or name not in self._components:
            names = self.names()
            if name not in names:
                raise UsageError(f"There is no {self.kind} called {str(name)[:80]}; {near(str(name), names)}")
        return self._components[name]

    def _modules(self) -> list[str]:
        package = importlib.import_module(self.package)
        return [module.name for module in pkgutil.iter_modules(package.__path__)]


def load_plugins() -> None:
    """Import what third parties declare under the entry-point group `gancli.plugins`; importing registers it."""
    global _plugins_loaded
    if _plugins_loaded:
        return
    _plugins_loaded = True
    for point in entry_points(group=PLUGIN_GROUP):
        try:
            point.load()
        except Exception as error:
            raise UserError(f"The plugin {point.name} ({point.value}) cannot be loaded: {type(error).__name__}: {error}. "
                            "Mend or uninstall its package.") from error


models = Registry("model", "gancli.models")
datasets = Registry("dataset", "gancli.data.sources")
augmentations = Registry("augmentation", "gancli.losses.augmentations")
