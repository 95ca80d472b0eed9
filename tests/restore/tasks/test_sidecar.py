"""What all sidecars of a run share is found out once."""

from importlib.metadata import version

from restore.tasks import sidecar


def test_a_version_is_looked_up_once(monkeypatch):
    looked_up = []
    monkeypatch.setattr(sidecar, "version", lambda name: looked_up.append(name) or version(name))
    first, second = sidecar.software(), sidecar.software()
    assert first == second
    assert first["numpy"] == version("numpy")
    assert len(looked_up) == len(set(looked_up))
