"""`pvc fsm verify-trace`: traces of simulated clusters, and the histories of the cluster itself."""

import json

from pvc.sim.schedule import Schedule, Sizes

SMALL = Sizes((2,), (1,), 20.0)


def test_a_trace_of_a_simulated_cluster_is_explained_until_it_is_forged(pvc, tmp_path):
    said = {**Schedule(2, SMALL).scenario(), "end": 30.0}
    said["steps"] = [step for step in said["steps"] if step["at"] <= 25.0]
    file, trace = tmp_path / "one.json", tmp_path / "out.jsonl"
    file.write_text(json.dumps(said))
    assert pvc("sim", "run", str(file), "--trace", str(trace)).code == 0
    good = pvc("fsm", "verify-trace", str(trace))
    assert (good.code, good.err) == (0, "")
    assert "each explained by a row" in good.out
    trace.write_text(trace.read_text() + '{"t": 99, "event": "record", "kind": "vm", "name": "x", "machine": "domain", "trigger": "fly"}\n')
    bad = pvc("fsm", "verify-trace", str(trace))
    assert bad.code == 1
    assert "no row of domain is called 'fly'" in bad.out


def test_the_histories_of_the_cluster_are_read_when_no_file_is_named(pvc):
    assert pvc("vm", "define", pvc.file("web")).code == 0
    assert pvc("vm", "start", "web").code == 0
    found = json.loads(pvc("fsm", "verify-trace", "-o", "json").out)
    assert found["looked"] > 3
    assert found["unexplained"] == []


def test_a_file_that_is_no_trace_is_refused(pvc, tmp_path):
    (tmp_path / "x").write_text("nothing")
    refused = pvc("fsm", "verify-trace", str(tmp_path / "x"))
    assert refused.code == 2
    assert "line 1 is no JSON" in refused.err
