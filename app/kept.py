"""The last few values by key, for all sessions."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any


class Kept(OrderedDict):
    """The last few values by key. Not `st.cache_data`: that forbids a progress bar while a value is made."""

    def __init__(self, max_entries: int):
        super().__init__()
        self._max_entries = max_entries
        self._lock = threading.Lock()

    def put(self, key: Any, value: Any) -> Any:
        with self._lock:
            self[key] = value
            self.move_to_end(key)
            while len(self) > self._max_entries:
                self.popitem(last=False)
        return value
