"""Does something once a library is there: at once if it is loaded, else when somebody loads it."""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from threading import RLock
from types import ModuleType

__all__ = ('once_loaded',)


def once_loaded(library: str, then: Callable[[], object]) -> Callable[[], None]:
    """Call `then` when a library is loaded.

    Args:
        library: Name of its package at the top.
        then: Called in the thread that loads it, after the package's own code has run.

    Returns:
        What gives that up, if it has not come to it.
    """
    if library in sys.modules:
        then()
        return lambda: None
    watch = _Watch(library, then)
    sys.meta_path.insert(0, watch)
    return watch.give_up


class _Watch(MetaPathFinder):
    """Stands before the finders of modules until the library is loaded.

    Args:
        library: Name of its package.
        then: Called when it is loaded.
    """

    def __init__(self, library: str, then: Callable[[], object]) -> None:
        self._library = library
        self._then: Callable[[], object] | None = then
        self._lock = RLock()

    def give_up(self) -> None:
        """Stand aside."""
        with self._lock:
            self._then = None
            if self in sys.meta_path:
                sys.meta_path.remove(self)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002, the interface of finders
        target: ModuleType | None = None,  # noqa: ARG002, same
    ) -> ModuleSpec | None:
        """Have the other finders find the library, and be told when it has been loaded."""
        if fullname != self._library:
            return None
        with self._lock:
            then = self._then
            self.give_up()
        spec = find_spec(fullname)
        if spec is None or spec.loader is None or then is None:
            return spec
        spec.loader = _TellingLoader(spec.loader, then)
        return spec


class _TellingLoader(Loader):
    """Loads a module as another loader does, and tells.

    Args:
        loader: The loader.
        then: Called when the module is loaded.
    """

    def __init__(self, loader: Loader, then: Callable[[], object]) -> None:
        self._loader = loader
        self._then = then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Make the module as the loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, then tell."""
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._then()
