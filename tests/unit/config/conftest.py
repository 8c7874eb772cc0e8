from __future__ import annotations

import pytest
import yaml

from carbonsched.config.loader import loads
from carbonsched.errors import ConfigError

GOOD = """\
site: {name: Lab, time_zone: Europe/Berlin}
daemon: {url: "http://head:8470"}
clusters:
  - {name: hpc, zone: NO, pue: 1.2}
zones:
  - name: NO
    providers:
      - {kind: static, g_per_kwh: 30, source: a report, year: 2024}
"""


def as_text(document):
    """YAML as the loader takes it: every scalar is the text that stands there."""
    return yaml.load(document, Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts only


@pytest.fixture
def plain():
    return as_text


@pytest.fixture
def changed():
    """A good document with some values set or removed by their paths, as text."""

    def change(changes):
        content = as_text(GOOD)
        for path, value in changes.items():
            *parents, last = path
            place = content
            for step in parents:
                place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
            if value is ...:
                del place[last]
            else:
                place[last] = value
        return yaml.safe_dump(content, sort_keys=False)

    return change


@pytest.fixture
def config(changed):
    return lambda changes: loads(changed(changes), "site.yaml")


@pytest.fixture
def problems(changed):
    """What is wrong with a changed document, without places."""

    def find(changes):
        with pytest.raises(ConfigError) as caught:
            loads(changed(changes), "site.yaml")
        return [line.split("  ", 1)[1] for line in caught.value.problems]

    return find
