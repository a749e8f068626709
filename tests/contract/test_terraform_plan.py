"""What Terraform would make of the example, planned against a mocked provider: who may do what, what is kept how."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from consumers.validate import levels_reading
from consumers.validate.config import Settings as ValidateSettings
from gateway.dimse.config import Settings as RetrieveSettings
from infra.container.configuration import write
from infra.local.parts.store import BUCKETS
from producers.dicom_router.config import Settings as RouterSettings
from producers.orders.config import Settings as OrdersSettings
from producers.worklist.config import Settings as WorklistSettings
from streams import config, nodes, ris
from streams.networks import is_loopback
from streams.routes.routes import load as routes
from streams.routes.section import file_of as routes_file
from tests import terraform
from tests.site_files import in_force

SERVICES = yaml.safe_load((terraform.TREE / "services.yaml").read_text(encoding="utf-8"))["services"]
AWS = "hashicorp/aws"
TENANT = "example"
PROBES = "arn:aws:s3:::radstream-example-123456789012-hot/.radstream-probe/*"

# Statements with an action or a resource that is everything, since AWS knows no narrower form of what they say.
WILDCARDS = {
    "Administration": "a key's own policy speaks of that key, which its account rules",
    "LogsOfThisAccount": "a key's own policy speaks of that key",
    "AlertsOfThisAccount": "a key's own policy speaks of that key",
    "Registry": "a token for the registry is of no repository",
    "OnlyOverTls": "it refuses",
}
Plan = Mapping[str, Mapping[str, Any]]


class Statement(NamedTuple):
    address: str
    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    terraform.plugins(AWS)
    where = terraform.copied(tmp_path_factory.mktemp("example")) / "environments" / "example"
    for path in (where / "../../../site").resolve().glob("*.toml"):
        path.write_text(in_force(path.name), encoding="utf-8")
    terraform.initialised(where, AWS)
    return dict(terraform.planned(terraform.tested(where), "as_it_stands"))


def statements(plan: Plan) -> Iterator[Statement]:
    for address, values in plan.items():
        for attribute in ("policy", "assume_role_policy"):
            document = values.get(attribute)
            if isinstance(document, str) and "Statement" in document:
                for one in json.loads(document)["Statement"]:
                    yield Statement(
                        address,
                        one.get("Sid", ""),
                        one["Effect"],
                        tuple(listed(one["Action"])),
                        tuple(listed(one.get("Resource", []))),
                    )


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def of_type(plan: Plan, kind: str) -> dict[str, Mapping[str, Any]]:
    """Values by the last part of the address, its key included."""
    return {address: values for address, values in plan.items() if f".{kind}." in f".{address}"}


def key_of(address: str) -> str:
    return address.rpartition('["')[2].removesuffix('"]')


def test_the_text_is_formatted() -> None:
    done = terraform.run(terraform.TREE, "fmt", "-check", "-recursive")
    assert done.returncode == 0, f"terraform fmt -recursive infra/terraform: {done.stdout}"


def test_brokers_too_small_and_old_protocols_are_refused(tmp_path: Any) -> None:
    terraform.plugins(AWS)
    where = terraform.copied(tmp_path) / "modules" / "msk"
    terraform.initialised(where, AWS)
    terraform.tested(where)


def test_nobody_may_do_everything(plan: Plan) -> None:
    found = list(statements(plan))
    assert len(found) > 40
    for one in found:
        if one.sid in WILDCARDS:
            continue
        assert all("*" not in action for action in one.actions), one
        assert all(resource.split(":::")[-1].strip("*") for resource in one.resources), one
        assert "*" not in one.resources, one
    assert WILDCARDS.keys() <= {one.sid for one in found}, "an exception is not needed any more"


def test_a_services_code_touches_its_folders_only(plan: Plan) -> None:
    policies = of_type(plan, "aws_iam_role_policy")
    for service, entry in SERVICES.items():
        policy = json.loads(policies[f'module.iam.aws_iam_role_policy.task["{service}"]']["policy"])
        objects = [one for one in policy["Statement"] if one["Sid"].startswith("Objects")]
        reached = {resource for one in objects for resource in one["Resource"]}
        allowed = {
            f"arn:aws:s3:::radstream-example-123456789012-{grant['bucket']}/{TENANT}/{folder}/*"
            for grant in entry["store"]
            for folder in grant["folders"]
        }
        assert reached - allowed == ({PROBES} if service == "router" else set())
        deletes = {action for one in objects for action in one["Action"] if "Delete" in action}
        assert not deletes or service in ("router", "tiering"), "only tiering deletes, and the router its own probes"
        lists = [one for one in policy["Statement"] if one["Sid"].startswith("List")]
        assert all(one["Condition"]["StringLike"]["s3:prefix"] for one in lists)


def test_no_backup_is_deleted_by_anybody(plan: Plan) -> None:
    for one in statements(plan):
        if one.effect == "Allow" and any("-backup/" in resource for resource in one.resources):
            assert not any("Delete" in action for action in one.actions), one


def test_every_service_has_roles_of_its_own_an_image_and_a_log(plan: Plan) -> None:
    tasks = {key_of(address): values for address, values in of_type(plan, "aws_ecs_task_definition").items()}
    assert SERVICES.keys() <= tasks.keys()
    for kind in ("aws_iam_role.task", "aws_iam_role.start", "aws_ecr_repository.this", "aws_ecs_service.this"):
        there = {key_of(address) for address in plan if f".{kind}[" in address}
        assert there == tasks.keys()
    assert tasks.keys() == {key_of(address) for address in of_type(plan, "aws_cloudwatch_log_group") if '["' in address}


def test_tasks_cannot_write_but_where_they_must(plan: Plan) -> None:
    for address, values in of_type(plan, "aws_ecs_task_definition").items():
        (container,) = json.loads(values["container_definitions"])
        assert container["readonlyRootFilesystem"] is True
        assert {mount["containerPath"] for mount in container["mountPoints"]} == {"/run/radstream", "/tmp", "/var/tmp"}  # noqa: S108
        told = {one["name"] for one in container.get("environment", [])}
        assert not any("PASSWORD" in name or "SECRET" in name or "KEYS" in name for name in told), address
        assert "PASSWORD" not in json.dumps(container.get("environment", [])).replace("@KAFKA_PASSWORD@", "").replace(
            "@DATABASE_PASSWORD@", ""
        )


def test_services_with_lag_grow_with_it(plan: Plan) -> None:
    growing = {key_of(address) for address in of_type(plan, "aws_appautoscaling_policy") if ".lag[" in address}
    assert growing == {name for name, entry in SERVICES.items() if entry["lag"]}


def test_a_gpu_is_for_the_models_only(plan: Plan) -> None:
    for address, values in of_type(plan, "aws_ecs_task_definition").items():
        on_machines = values["requires_compatibilities"] == ["EC2"]
        assert on_machines == (key_of(address) == "triton")


def test_every_bucket_is_private_locked_versioned_encrypted_and_logged(plan: Plan) -> None:
    buckets = of_type(plan, "aws_s3_bucket")
    assert {key_of(address) for address in buckets} - set(BUCKETS) == {"module.storage.aws_s3_bucket.logs"}
    assert all(values["object_lock_enabled"] for values in buckets.values())
    for kind in ("versioning", "server_side_encryption_configuration", "lifecycle_configuration", "logging"):
        found = {key_of(address) for address in of_type(plan, f"aws_s3_bucket_{kind}")}
        assert set(BUCKETS) <= found, kind
    for values in of_type(plan, "aws_s3_bucket_public_access_block").values():
        shut = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
        assert all(values[door] is True for door in shut)
    for address, values in of_type(plan, "aws_s3_bucket_policy").items():
        sids = {one["Sid"] for one in json.loads(values["policy"])["Statement"]}
        assert "OnlyOverTls" in sids, address
    kept = {key_of(address) for address in of_type(plan, "aws_s3_bucket_object_lock_configuration")}
    assert kept == {"cold", "backup"}


def test_no_rule_deletes_an_image(plan: Plan) -> None:
    for address, values in of_type(plan, "aws_s3_bucket_lifecycle_configuration").items():
        if key_of(address) in BUCKETS:
            assert all(not rule.get("expiration") for rule in values["rule"]), address
            assert all(not rule.get("noncurrent_version_expiration") for rule in values["rule"]), address


def test_nothing_is_reached_from_the_internet(plan: Plan) -> None:
    kinds = {address.split("[")[0].split(".")[-2] for address in plan}
    assert not kinds & {"aws_internet_gateway", "aws_nat_gateway", "aws_eip"}
    (cluster,) = of_type(plan, "aws_msk_cluster").values()
    assert cluster["broker_node_group_info"][0]["connectivity_info"][0]["public_access"][0]["type"] == "DISABLED"
    assert cluster["encryption_info"][0]["encryption_in_transit"][0]["client_broker"] == "TLS"
    assert cluster["client_authentication"][0]["unauthenticated"] is False
    (database,) = of_type(plan, "aws_db_instance").values()
    assert database["publicly_accessible"] is False
    assert database["storage_encrypted"] is True
    (balancer,) = of_type(plan, "aws_lb").values()
    assert balancer["internal"] is True
    for rule in of_type(plan, "aws_vpc_security_group_ingress_rule").values():
        assert rule["cidr_ipv4"] != "0.0.0.0/0"


def container_of(plan: Plan, service: str) -> dict[str, Any]:
    (task,) = [one for address, one in of_type(plan, "aws_ecs_task_definition").items() if key_of(address) == service]
    (container,) = json.loads(task["container_definitions"])
    return dict(container)


def given(plan: Plan, service: str) -> dict[str, str]:
    """The environment of a service's container; of secrets that they are there."""
    container = container_of(plan, service)
    environment = {one["name"]: one["value"] for one in container["environment"]}
    return environment | {one["name"]: "x" for one in container.get("secrets", [])}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_finds_in_its_configuration_what_it_reads_there(service: str, plan: Plan, tmp_path: Path) -> None:
    """Its own section, and the files of the site that its code opens, with what stands in them."""
    path, _ = write(given(plan, service), tmp_path)
    read = config.load(path)
    read.section(service, import_module(f"{SERVICES[service]['module']}.config").Settings)
    assert ("routes" in read.names) == ("routes" in SERVICES[service]["files"])
    if "routes" in read.names:
        file = routes_file(read)
        assert file is not None
        assert list(routes(file).destinations) == ["pacs"]
    if "nodes" in SERVICES[service]["files"]:
        assert list(nodes.read(nodes.file_of(read))) == ["ris", "ct-1"]
        tls = nodes.settings_of(read).tls
        assert tls is not None
        assert all(found.is_file() for found in tls.files)
    if service == "validate":
        assert levels_reading.of_site(read.section(service, ValidateSettings).rules).file.rules
    settings = ris.of_site(read)
    assert settings is not None
    assert settings.node == "ris"


def test_images_go_to_a_hospitals_nodes_and_nowhere_else(plan: Plan) -> None:
    out = [rule["cidr_ipv4"] for rule in of_type(plan, "aws_vpc_security_group_egress_rule").values()]
    assert sorted({one for one in out if one}) == ["10.71.0.0/16", "192.0.2.0/24"]


def test_a_hospitals_systems_reach_each_door_and_nothing_else(plan: Plan) -> None:
    doors = {name: entry["door"] for name, entry in SERVICES.items() if "door" in entry}
    assert doors.keys() == {"router", "worklist", "retrieve", "orders"}
    (balancer,) = of_type(plan, "aws_lb").values()
    assert len(balancer["name"]) <= 32
    groups = {key_of(address): one for address, one in of_type(plan, "aws_lb_target_group").items()}
    listeners = {key_of(address): one for address, one in of_type(plan, "aws_lb_listener").items()}
    assert {name: one["port"] for name, one in listeners.items()} == doors
    for name, group in groups.items():
        assert (listeners[name]["protocol"], group["protocol"], group["port"]) == ("TCP", "TCP", doors[name])
        # Peers are known by their addresses, too.
        assert group["preserve_client_ip"] == "true"
        assert group["health_check"][0]["port"] == str(SERVICES[name]["port"])
        assert doors[name] in {mapping["containerPort"] for mapping in container_of(plan, name)["portMappings"]}
    rules = of_type(plan, "aws_vpc_security_group_ingress_rule").values()
    outside = {(one["from_port"], one["to_port"]) for one in rules if one["cidr_ipv4"] == "192.0.2.0/24"}
    assert outside == {(port, port) for port in doors.values()}


def test_names_and_images_go_by_tls_alone(plan: Plan, tmp_path: Path) -> None:
    kinds: dict[str, type[RouterSettings | WorklistSettings | RetrieveSettings]] = {
        "router": RouterSettings,
        "worklist": WorklistSettings,
        "retrieve": RetrieveSettings,
    }
    for name, kind in kinds.items():
        folder = tmp_path / name
        folder.mkdir()
        path, _ = write(given(plan, name), folder)
        settings = config.load(path).section(name, kind)
        assert settings.peers is not None
        assert settings.tls is not None
        assert settings.tls.port == SERVICES[name]["door"]
        assert all(file.is_file() for file in (settings.peers, *settings.tls.files))


def test_orders_come_by_tls_from_named_senders_in_the_hospitals_networks_alone(plan: Plan, tmp_path: Path) -> None:
    path, _ = write(given(plan, "orders"), tmp_path)
    settings = config.load(path).section("orders", OrdersSettings)
    assert settings.addresses == ("192.0.2.0/24",)
    assert is_loopback(settings.host)
    assert settings.tls is not None
    assert (settings.tls.port, settings.tls.common_names) == (SERVICES["orders"]["door"], ("ris.example.org",))
    assert all(file.is_file() for file in settings.tls.files)
