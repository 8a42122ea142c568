"""Kill switches: from the store, from a file, from the environment; thrown, released, and malformed."""

import json
from pathlib import Path
from typing import Any

import pytest

from controlplane.runtime import Client, canonical
from controlplane.runtime.errors import StoreUnavailable
from controlplane.runtime.signing import Signer, Verifier, new_key_pair
from controlplane.runtime.switches import KillSwitches, Switch, SwitchesRefused, document, parse, parse_local
from tests.runtime.faults import FaultyStore, Hang
from tests.runtime.serving import GOOD, eventually, publish, temperature

CODE = "COACHING_RESPONSE"
ADA = Switch("ada@example.com", "2026-11-22T10:00:00Z", "it answers nonsense")
ONE = KillSwitches(interactions={CODE: ADA})
ALL = KillSwitches(everything=ADA)
NONE = KillSwitches()
KEYS, OTHERS = new_key_pair("here"), new_key_pair("elsewhere")
SIGNER = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": KEYS.signing})
STRANGER = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": OTHERS.signing})


class SwitchStore(FaultyStore):
    """A store whose document of switches can be replaced by anything."""

    switches_fault: Any = None

    def read_switches(self, environment: str) -> bytes | None:
        if isinstance(self.switches_fault, Exception):
            raise self.switches_fault
        if isinstance(self.switches_fault, Hang):
            return self.switches_fault()
        return self.switches_fault if self.switches_fault is not None else super().read_switches(environment)


@pytest.fixture
def store() -> SwitchStore:
    store = SwitchStore()
    store.publish(1, GOOD)
    return store


def throw(store: SwitchStore, switches: KillSwitches, version: int, **others: Any) -> None:
    data = document(switches, environment="production", version=version, **others)
    assert store.write_switches("production", data, version=version)


def look(client: Client) -> tuple[str, ...]:
    client.refresh()
    return client.state.thrown


# --- what switches mean -----------------------------------------------------------------------------------------------


def test_everything_stops_everything_and_one_only_itself() -> None:
    assert NONE.thrown(CODE) is None
    assert ONE.thrown(CODE) == ADA
    assert ONE.thrown("ANOTHER") is None
    assert ALL.thrown(CODE) == ALL.thrown("ANOTHER") == ADA


def test_what_either_place_throws_is_thrown() -> None:
    other = KillSwitches(interactions={"ANOTHER": ADA})
    assert (ONE | other).names() == ("ANOTHER", CODE)
    assert (other | ALL).names() == ("everything", "ANOTHER")
    assert (NONE | ONE) == (ONE | NONE) == ONE


@pytest.mark.parametrize("switches", [NONE, ONE, ALL, ALL | ONE])
@pytest.mark.parametrize("signer", [None, SIGNER])
def test_a_document_is_read_as_it_was_written(switches: KillSwitches, signer: Signer | None) -> None:
    data = document(switches, environment="production", version=7, signer=signer)
    assert parse(data, environment="production", verifier=Verifier()) == (7, switches)


# --- the store --------------------------------------------------------------------------------------------------------


def test_switches_are_thrown_and_released_from_the_store(store: SwitchStore) -> None:
    client = Client(store, "production")
    assert look(client) == ()
    assert client.switches.thrown(CODE) is None
    throw(store, ONE, 1)
    assert look(client) == (CODE,)
    assert client.switches.thrown(CODE) == ADA
    throw(store, ONE | ALL, 2)
    assert look(client) == ("everything", CODE)
    throw(store, ONE | ALL, 3)
    assert look(client) == ("everything", CODE), "thrown already"
    throw(store, KillSwitches(interactions={"NO_SUCH_INTERACTION": ADA}), 4)
    assert look(client) == ("NO_SUCH_INTERACTION",)
    throw(store, NONE, 5)
    assert look(client) == ()
    assert (client.state.switches_version, client.state.switches_error) == (5, None)


def changed(**fields: Any) -> bytes:
    plain = json.loads(document(ALL, environment="production", version=9))
    return json.dumps({**plain, **fields}).encode()


MALFORMED: dict[str, Any] = {
    "empty": b"",
    "white space": b" \n",
    "null": b"null",
    "an empty object": b"{}",
    "a list": b"[]",
    "true": b"true",
    "HTML": b"<!doctype html>",
    "not UTF-8": b"\xff\xfe",
    "cut short": changed()[:-5],
    "everything is true": changed(everything=True),
    "everything is a word": changed(everything="yes"),
    "everything without a name": changed(everything={}),
    "a switch of nulls": changed(everything={"by": None, "at": None, "reason": None}),
    "interactions is null": changed(interactions=None),
    "interactions is a list": changed(interactions=[CODE]),
    "an interaction is null": changed(interactions={CODE: None}),
    "another environment's": changed(environment="staging"),
    "no environment": changed(environment=None),
    "version 0": changed(version=0),
    "version is a word": changed(version="9"),
    "version is a fraction": changed(version=9.5),
    "version is true": changed(version=True),
    "an older version": changed(version=1),
    "the same version with other content": changed(version=2),
    "the same key twice": changed()[:-1] + b',"version":9}',
    "not a number": changed()[:-1] + b',"x":NaN}',
    "a lone surrogate": changed(everything={"by": "\ud800", "at": "", "reason": ""}),
    "ten thousand levels": b"[" * 10_000,
    "too large": changed(x="x" * 70_000),
    "not reachable": StoreUnavailable("gone"),
    "a failure nobody thought of": KeyError("surprise"),
}


@pytest.mark.parametrize("fault", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_bad_document_neither_throws_nor_releases_and_is_said(store: SwitchStore, fault: Any) -> None:
    client = Client(store, "production")
    throw(store, ONE, 2)
    assert look(client) == (CODE,)
    store.switches_fault = fault
    assert look(client) == (CODE,)
    assert client.state.switches_error
    assert client.state.last_error is None, "the release has nothing to do with it"
    store.switches_fault = None
    throw(store, NONE, 10)
    assert look(client) == ()
    assert client.state.switches_error is None


# A first document is no older than another.
BAD_AT_FIRST = {
    name: fault for name, fault in MALFORMED.items() if "version with" not in name and "older" not in name
}


@pytest.mark.parametrize("fault", BAD_AT_FIRST.values(), ids=BAD_AT_FIRST.keys())
def test_a_bad_first_document_throws_nothing(store: SwitchStore, fault: Any) -> None:
    store.switches_fault = fault
    client = Client(store, "production").start()
    assert client.state.thrown == ()
    assert client.state.switches_error
    assert temperature(client) == 0.5
    client.close()


def test_a_document_that_is_gone_releases_nothing(store: SwitchStore) -> None:
    client = Client(store, "production")
    throw(store, ONE, 1)
    look(client)
    store._switches.clear()
    assert look(client) == (CODE,)
    assert "gone from the store" in str(client.state.switches_error)


def test_switches_work_while_the_release_is_in_quarantine(store: SwitchStore) -> None:
    client = Client(store, "production", poll_seconds=3600, switches_seconds=0.01).start()
    store.publish(2, b"rubbish")
    client.refresh()
    assert client.state.quarantined
    throw(store, ALL, 1)
    eventually(lambda: client.switches.thrown(CODE) == ADA)
    client.close()


def test_a_process_that_starts_without_the_store_obeys_what_an_earlier_one_knew(
    store: SwitchStore, tmp_path: Path
) -> None:
    throw(store, ONE, 3)
    look(Client(store, "production", disk=tmp_path))
    store.switches_fault = StoreUnavailable("gone")
    later = Client(store, "production", disk=tmp_path).start()
    assert later.state.thrown == (CODE,)
    store.switches_fault = document(NONE, environment="production", version=2)
    later.refresh()
    assert later.state.thrown == (CODE,), "an older document is no news"
    later.close()


# --- signatures -------------------------------------------------------------------------------------------------------


def test_with_a_key_only_signed_documents_are_obeyed(store: SwitchStore) -> None:
    client = Client(store, "production", environ={"CONTROLPLANE_PUBLIC_KEYS": KEYS.public})
    for version, signer, wanted in ((1, None, ()), (2, STRANGER, ()), (3, SIGNER, (CODE,))):
        throw(store, ONE, version, signer=signer)
        assert look(client) == wanted
    throw(store, NONE, 4)
    assert look(client) == (CODE,), "nor may anybody release a switch"
    assert "not signed" in str(client.state.switches_error)


@pytest.mark.parametrize(
    "change", [{"environment": "staging"}, {"version": 8}, {"everything": None}, {"x": 1}]
)
def test_nothing_can_be_changed_under_a_signature(change: dict[str, Any]) -> None:
    verifier = Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS": KEYS.public})
    signed = document(ALL, environment="production", version=7, signer=SIGNER)
    assert parse(signed, environment="production", verifier=verifier) == (7, ALL)
    with pytest.raises(SwitchesRefused, match="not what the key"):
        parse(
            canonical.dumps({**canonical.loads(signed), **change}),
            environment=str(change.get("environment", "production")),
            verifier=verifier,
        )


# --- a file, and the environment --------------------------------------------------------------------------------------


def test_a_file_throws_and_releases_without_any_store(tmp_path: Path) -> None:
    store = SwitchStore()
    store.switches_fault = StoreUnavailable("gone")
    path = tmp_path / "switches"
    client = Client(store, "production", environ={"CONTROLPLANE_SWITCHES_FILE": str(path)})
    assert look(client) == ()
    path.write_text(json.dumps({"interactions": {CODE: {}}}))
    assert look(client) == (CODE,)
    assert client.switches.thrown("ANOTHER") is None
    path.write_text("")
    assert look(client) == ("everything",)
    path.write_text("{")
    assert look(client) == ("everything",)
    assert "not a document" in str(client.state.switches_error) or client.state.switches_error
    path.unlink()
    assert look(client) == ()


LOCAL: dict[str, tuple[str, tuple[str, ...]]] = {
    "nothing": ("{}", ()),
    "white space": (" \n", ("everything",)),
    "all": ('{"everything": {"reason": "now"}}', ("everything",)),
    "a document": (document(ALL | ONE, environment="production", version=3).decode(), ("everything", CODE)),
    "another environment's": (document(ALL, environment="staging", version=3).decode(), ()),
    "null": ('{"everything": null, "interactions": {}}', ()),
}


@pytest.mark.parametrize(("text", "thrown"), LOCAL.values(), ids=LOCAL.keys())
def test_what_a_file_may_say(text: str, thrown: tuple[str, ...]) -> None:
    assert parse_local(text, environment="production").names() == thrown


@pytest.mark.parametrize(
    "text", ["{", "null", "[]", "true", '{"everything": true}', '{"interaction": {}}', '{"interactions": []}']
)
def test_a_file_that_nobody_understands_is_refused(text: str) -> None:
    with pytest.raises(SwitchesRefused):
        parse_local(text, environment="production")


@pytest.mark.parametrize("make", ["folder", "not UTF-8", "device", "too large"])
def test_what_is_no_text_file_throws_nothing(store: SwitchStore, tmp_path: Path, make: str) -> None:
    path = tmp_path / "switches"
    if make == "folder":
        path.mkdir()
    elif make == "device":
        path = Path("/dev/null")
    else:
        path.write_bytes(b"\xff" if make == "not UTF-8" else b" " * 70_000)
    client = Client(store, "production", switches_file=path)
    assert look(client) == ()
    assert client.state.switches_error


@pytest.mark.parametrize(
    ("said", "thrown"),
    [
        ("", ()),
        (" , ", ()),
        ("everything", ("everything",)),
        ("Everything", ("everything",)),
        (CODE, (CODE,)),
        (f" B,{CODE} , everything", ("everything", "B", CODE)),
    ],
)
def test_the_environment_throws_for_good(store: SwitchStore, said: str, thrown: tuple[str, ...]) -> None:
    client = Client(store, "production", environ={"CONTROLPLANE_KILL": said})
    assert client.state.thrown == thrown, "from the first moment"
    throw(store, NONE, 1)
    assert look(client) == thrown


def test_a_store_that_hangs_keeps_nobody_from_throwing_a_switch_by_file(tmp_path: Path) -> None:
    store = SwitchStore()
    publish(store, 1, GOOD)
    store.switches_fault = hang = Hang()
    path = tmp_path / "switches"
    client = Client(store, "production", switches_seconds=0.01, switches_file=path).start()
    assert hang.waiting.wait(30)
    path.touch()
    eventually(lambda: client.switches.thrown(CODE) is not None)
    path.unlink()
    eventually(lambda: client.switches.thrown(CODE) is None)
    hang.let_go()
    client.close()
