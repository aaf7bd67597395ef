"""What lldpd says, read; whatever it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shakeout.agent.inspection import lldp_neighbours

#: As lldpcli 1.0.16 prints it, shortened.
SAID = """{"lldp": [{"interface": [{
  "name": "eth1", "via": "LLDP", "rid": "1", "age": "0 day, 00:00:08",
  "chassis": [{"id": [{"type": "mac", "value": "02:00:00:00:00:01"}], "name": [{"value": "switch7"}],
               "descr": [{"value": "a switch"}], "capability": [{"type": "Bridge", "enabled": true}]}],
  "port": [{"id": [{"type": "ifname", "value": "Gi1/0/7"}], "descr": [{"value": "to dut1"}],
            "ttl": [{"value": "120"}]}]}]}]}"""

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: (
        st.lists(below)
        | st.dictionaries(st.sampled_from(["lldp", "interface", "chassis", "port", "name", "id", "value"]), below)
    ),
)


def test_the_switch_and_its_port() -> None:
    assert lldp_neighbours(SAID) == [
        {
            "interface": "eth1", "system": "switch7", "chassis": "02:00:00:00:00:01", "port": "Gi1/0/7",
            "port_text": "to dut1",
        }
    ]  # fmt: skip
    assert lldp_neighbours('{"lldp": [{}]}') == []


@given(json | st.text())
def test_nonsense_is_no_neighbour(told: object) -> None:
    import msgspec

    text = told if isinstance(told, str) else msgspec.json.encode(told).decode()
    for row in lldp_neighbours(text):
        assert all(isinstance(value, str) for value in row.values())
