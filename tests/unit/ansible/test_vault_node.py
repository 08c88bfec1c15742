"""What a Vault node saves and reports: to the AWS stand-in, with a pretended client of Vault."""

import ast
import json
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from doubles.aws.client import HOME_REGION, StandIn
from doubles.programs import Programs
from unit.ansible.node_programs import FOLDER, NAMES, load

NAME = "vault.example.internal"
BUCKET = "snapshots-of-vault"
TOLD = {
    "region": HOME_REGION,
    "server_name": NAME,
    "tls": {},
    "snapshots": {"bucket": BUCKET, "every_hours": 6, "vault_role": "bakery-snapshot"},
    "metrics": {"namespace": "bakery/test", "cluster": "bakery-test-vault", "nodes": 3},
}
LEADS = {"sealed": False, "is_self": True}
FOLLOWS = {"sealed": False}
SEALED = {"sealed": True}
# What the real client does with each of these; it writes its token and its address where the test finds them.
CLIENT = """\
[ -n "$HOME" ] || {{ echo "failed to get token helper" >&2; exit 1; }}
echo "$1 $VAULT_TOKEN $VAULT_ADDR $VAULT_CACERT $VAULT_TLS_SERVER_NAME" >>{folder}/environment
case "$1" in
  status) cat {folder}/status; exit {code} ;;
  login) {login} ;;
  operator) {save} ;;
  read) cat {folder}/autopilot ;;
esac
"""
EIGHT = 1_800_000_000.0  # 2027-01-15T08:00:00Z
TOKEN = "hvs.the-token"
GB = 10**9  # bytes
DISKS = ["AuditDiskUsed", "DataDiskUsed"]


class FakeNode:
    """A node and the server on it."""

    def __init__(self, folder: Path, programs: Programs, cloud: StandIn) -> None:
        self._folder = folder
        self._programs = programs
        self.cloud = cloud

    def server(self, status: dict[str, bool], *, login: str = f"echo {TOKEN}", save: str = 'echo data >"$5"') -> None:
        """How its client answers from now on."""
        (self._folder / "status").write_text(json.dumps(status))
        code = 2 if status["sealed"] else 0
        body = CLIENT.format(folder=self._folder, code=code, login=login, save=save)
        self._programs.shell("vault", body)

    def voters(self, count: int, *, healthy: int, tolerance: int) -> None:
        """What autopilot says of them from now on."""
        servers = {f"node-{number}": {"healthy": number < healthy} for number in range(count)}
        state = {"failure_tolerance": tolerance, "servers": servers, "voters": list(servers)}
        (self._folder / "autopilot").write_text(json.dumps({"data": state}))

    def calls(self) -> list[str]:
        return self._programs.calls("vault")

    def environment(self, command: str) -> list[str]:
        lines = (self._folder / "environment").read_text().splitlines()
        return next(line for line in lines if line.startswith(command)).split(" ")[1:]

    def saved(self) -> list[str]:
        found = self.cloud.client("s3").list_objects_v2(Bucket=BUCKET)
        return [entry["Key"] for entry in found.get("Contents", [])]

    def reported(self) -> list[str]:
        """Names of the cluster's metrics."""
        metrics = self.cloud.client("cloudwatch").list_metrics(Namespace="bakery/test")["Metrics"]
        assert {metric["Dimensions"][0]["Value"] for metric in metrics} <= {"bakery-test-vault"}
        return sorted(metric["MetricName"] for metric in metrics)

    def value(self, name: str) -> float:
        """The sum of what was reported of a metric."""
        now = time.time()
        found = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="bakery/test",
            MetricName=name,
            Dimensions=[{"Name": "cluster", "Value": "bakery-test-vault"}],
            StartTime=now - 600,
            EndTime=now + 600,
            Period=1200,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in found["Datapoints"]))


@pytest.fixture
def world(aws_server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    aws_server.reset()
    place = {"LocationConstraint": HOME_REGION}
    s3 = aws_server.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=True)
    monkeypatch.delenv("HOME")  # as in a service
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    (tmp_path / "settings.json").write_text(json.dumps(TOLD))
    return FakeNode(tmp_path, Programs(tmp_path / "bin", monkeypatch), aws_server)


def program(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load(name, monkeypatch)
    monkeypatch.setattr("node.SETTINGS", tmp_path / "settings.json")
    return module


@pytest.fixture
def snapshot(world: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = program("snapshot", tmp_path, monkeypatch)
    monkeypatch.setattr(module, "SAVED", tmp_path / "saved")
    set_clock(module, EIGHT, monkeypatch)
    return module


def set_clock(module: ModuleType, now: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the program alone."""
    clock = SimpleNamespace(time=lambda: now, strftime=time.strftime, gmtime=time.gmtime)
    monkeypatch.setattr(module, "time", clock)


@pytest.fixture
def report(world: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """With disks of 100 GB, one of which is full."""
    module = program("report", tmp_path, monkeypatch)
    disks = {
        "/var/lib/vault": SimpleNamespace(used=38 * GB, free=57 * GB),
        "/var/log/vault": SimpleNamespace(used=95 * GB, free=0),
    }
    monkeypatch.setattr(module, "shutil", SimpleNamespace(disk_usage=disks.__getitem__))
    return module


def test_the_leader_saves_a_snapshot(world: FakeNode, snapshot: ModuleType) -> None:
    world.server(LEADS)
    assert snapshot.run("snapshot", snapshot.main) == 0
    (key,) = world.saved()
    assert key == "bakery-test-vault/2027-01-15T08-00-00Z.snap"
    found = world.cloud.client("s3").get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    assert found["Body"].read() == b"data\n"
    assert found["ChecksumSHA256"], "a bucket with a lock takes nothing without"
    assert world.value("SnapshotSaved") == 1


def test_it_logs_in_as_its_instance_and_out_again(world: FakeNode, snapshot: ModuleType) -> None:
    world.server(LEADS)
    snapshot.run("snapshot", snapshot.main)
    status, login, save, revoke = world.calls()
    assert status == "status -format=json"
    assert login == (
        f"login -method=aws -path=aws -token-only role=bakery-snapshot region={HOME_REGION} header_value={NAME}"
    )
    assert save.startswith("operator raft snapshot save /")
    assert revoke == "token revoke -self"
    authority = "/etc/vault-node/tls/authority.pem"
    assert world.environment("login") == ["", "https://127.0.0.1:8200", authority, NAME]
    assert (
        world.environment("operator")
        == world.environment("token")
        == [*(TOKEN, "https://127.0.0.1:8200", authority, NAME)]
    )


def test_nothing_of_a_snapshot_stays(world: FakeNode, snapshot: ModuleType, tmp_path: Path) -> None:
    world.server(LEADS)
    snapshot.run("snapshot", snapshot.main)
    assert not Path(world.calls()[2].split()[-1]).parent.exists()


@pytest.mark.parametrize("status", [FOLLOWS, SEALED], ids=["follower", "sealed"])
def test_others_save_none(world: FakeNode, snapshot: ModuleType, status: dict[str, bool]) -> None:
    world.server(status)
    assert snapshot.run("snapshot", snapshot.main) == 0
    assert world.calls() == ["status -format=json"]
    assert world.saved() == []


def test_there_is_one_for_each_span(world: FakeNode, snapshot: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    world.server(LEADS)
    for hours in (0, 1, 5.9, 6, 7):  # of a day
        set_clock(snapshot, EIGHT + (hours - 8) * 3600, monkeypatch)
        assert snapshot.run("snapshot", snapshot.main) == 0
    assert [key[-14:-9] for key in world.saved()] == ["00-00", "06-00"]


def test_after_a_failure_it_tries_again(
    world: FakeNode, snapshot: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    world.server(LEADS, save="echo no space >&2; exit 1")
    assert snapshot.run("snapshot", snapshot.main) == 1
    assert capsys.readouterr().err == "vault-node: snapshot: vault operator raft: no space\n"
    assert world.calls()[-1] == "token revoke -self"
    assert (world.saved(), world.reported()) == ([], [])
    world.server(LEADS)
    assert snapshot.run("snapshot", snapshot.main) == 0
    assert len(world.saved()) == 1


def test_a_snapshot_that_the_bucket_refuses_does_not_count(world: FakeNode, snapshot: ModuleType) -> None:
    world.server(LEADS)
    world.cloud.fault("s3", "PutObject", error="AccessDenied", status=403)
    assert snapshot.run("snapshot", snapshot.main) == 1
    assert world.reported() == []
    assert snapshot.run("snapshot", snapshot.main) == 0
    assert world.reported() == ["SnapshotSaved"]


def test_a_sealed_node_says_so_without_a_login(world: FakeNode, report: ModuleType) -> None:
    world.server(SEALED)
    assert report.run("report", report.main) == 0
    assert world.calls() == ["status -format=json"]
    assert world.reported() == [*DISKS, "Sealed"]
    assert world.value("Sealed") == 1


def test_a_follower_says_that_it_is_not_sealed(world: FakeNode, report: ModuleType) -> None:
    world.server(FOLLOWS)
    assert report.run("report", report.main) == 0
    assert world.reported() == [*DISKS, "Sealed"]
    assert world.value("Sealed") == 0


@pytest.mark.parametrize(
    ("voters", "healthy", "tolerance", "missing"),
    [
        pytest.param(3, 3, 1, 0, id="all"),
        pytest.param(3, 2, 0, 1, id="one-dead"),
        pytest.param(2, 2, 0, 1, id="one-never-joined"),
        pytest.param(6, 6, 2, 0, id="refresh"),
        pytest.param(6, 4, 0, 1, id="as-many-as-a-quorum"),
        pytest.param(6, 3, 0, 1, id="quorum-lost"),
    ],
)
def test_the_leader_says_how_many_voters_are_missing(
    world: FakeNode, report: ModuleType, voters: int, healthy: int, tolerance: int, missing: int
) -> None:
    """A cluster of three should survive the loss of one."""
    world.server(LEADS)
    world.voters(voters, healthy=healthy, tolerance=tolerance)
    assert report.run("report", report.main) == 0
    assert world.value("VotersMissing") == missing
    assert world.calls()[-2:] == ["read -format=json sys/storage/raft/autopilot/state", "token revoke -self"]


def test_before_there_is_a_login_it_says_what_it_can(
    world: FakeNode, report: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    world.server(LEADS, login="echo unknown role >&2; exit 2")
    assert report.run("report", report.main) == 1
    assert "vault login -method=aws: unknown role" in capsys.readouterr().err
    assert world.reported() == [*DISKS, "Sealed"]


def test_a_server_that_does_not_answer_is_not_called_sealed(world: FakeNode, report: ModuleType) -> None:
    world.server(SEALED)
    world._programs.shell("vault", "echo connection refused >&2; exit 1")
    assert report.run("report", report.main) == 1
    assert world.reported() == DISKS


def test_each_node_says_how_full_its_disks_are(world: FakeNode, report: ModuleType) -> None:
    """Of what is not kept for root: a disk that Vault can write nothing more to is full."""
    world.server(FOLLOWS)
    assert report.run("report", report.main) == 0
    assert (world.value("DataDiskUsed"), world.value("AuditDiskUsed")) == (40, 100)


@pytest.mark.parametrize("name", NAMES)
def test_they_run_on_the_oldest_python_of_an_image(name: str) -> None:
    """Rocky 9 has 3.9."""
    ast.parse((FOLDER / f"{name}.py").read_text(), feature_version=(3, 9))
