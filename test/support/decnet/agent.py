"""DECNET 1.0.0's own agent (its FastAPI app behind its own mTLS server settings) with a stand-in for what touches the machine.

Replaced: the Docker SDK, `docker compose`, host networking and self-destruct. Everything that speaks to a master is the
original: endpoints, relocation, state file, heartbeats, deltas. Nothing of it touches this machine's Docker or network.

  agent.py --dir DIR --port PORT --host-uuid UUID --master-port PORT [--work SECONDS] [--fail a,b] [--interval SECONDS] [--net CIDR:GW:IP]

DIR holds ca.crt, worker.crt, worker.key; state goes to DIR/state.
"""
import argparse
import json
import os
import pathlib
import subprocess
import threading
import time

options = argparse.ArgumentParser()
options.add_argument("--dir", required=True)
options.add_argument("--port", type=int, required=True)
options.add_argument("--host-uuid", required=True)
options.add_argument("--master-port", required=True)
options.add_argument("--work", type=float, default=0.2)
options.add_argument("--fail", default="")
options.add_argument("--interval", type=float, default=30.0)
options.add_argument("--net", default="10.99.7.0/24:10.99.7.1:10.99.7.2")
args = options.parse_args()

identity = pathlib.Path(args.dir).resolve()
state = identity / "state"
state.mkdir(parents=True, exist_ok=True)

# DECNET reads these when it is imported.
os.environ.update(
    DECNET_MODE="agent",
    DECNET_HOST_UUID=args.host_uuid,
    DECNET_MASTER_HOST="127.0.0.1",
    DECNET_SWARMCTL_PORT=args.master_port,
    DECNET_AGENT_DIR=str(identity),
    DECNET_SYSTEM_LOGS=str(state / "system.log"),
    DECNET_AGENT_LOG_FILE=str(state / "agent.log"),
    DECNET_INGEST_LOG_FILE=str(state / "ingest.log"),
    DECNET_CONFIG=str(state / "decnet.ini"),
    DECNET_BUS_ENABLED="false",
)
os.chdir(state)

import docker  # noqa: E402
import decnet.config as config  # noqa: E402

config.STATE_FILE = state / "decnet-state.json"
import decnet.agent.app as app  # noqa: E402
import decnet.agent.executor as executor  # noqa: E402
import decnet.agent.heartbeat as heartbeat  # noqa: E402
import decnet.engine as engine  # noqa: E402
import decnet.engine.deployer as deployer  # noqa: E402

FAILING = {name for name in args.fail.split(",") if name}
CONTAINERS = state / "containers.json"
lock = threading.Lock()


def running():
    return json.loads(CONTAINERS.read_text()) if CONTAINERS.exists() else {}


def change(edit):
    with lock:
        containers = running()
        edit(containers)
        CONTAINERS.write_text(json.dumps(containers))


def bring_up(deckies):
    def edit(containers):
        containers.clear()
        for decky in deckies:
            containers[decky.name] = "running"
            for service in decky.services:
                up = "exited" if decky.name in FAILING else "running"
                containers[f"{decky.name}-{service.replace('_', '-')}"] = up

    change(edit)
    broken = sorted(FAILING & {decky.name for decky in deckies})
    if broken:
        raise subprocess.CalledProcessError(1, ["docker", "compose", "up"], "", f"did not start: {broken}")


class Container:
    def __init__(self, name, status):
        self.name, self.status = name, status


class NoDocker:
    class containers:
        @staticmethod
        def list(**_):
            return [Container(name, status) for name, status in running().items()]

    class networks:
        @staticmethod
        def list(**_):
            return []


docker.from_env = lambda *_, **__: NoDocker()


def deploy(wanted, dry_run=False, no_cache=False, parallel=False):
    path = deployer.write_compose(wanted, deployer.COMPOSE_FILE)
    if dry_run:
        return
    config.save_state(wanted, path)
    time.sleep(args.work)
    bring_up(wanted.deckies)


def compose_with_retry(*words, **_):
    loaded = config.load_state()
    if "up" in words and loaded:
        time.sleep(args.work)
        bring_up(loaded[0].deckies)


def compose(*words, **_):
    if words[0] == "down":
        change(lambda containers: containers.clear())
    elif words[0] == "rm":
        gone = [word for word in words[1:] if not word.startswith("-")]
        change(lambda containers: [containers.pop(name, None) for name in gone])


deployer.deploy = engine.deploy = deploy
deployer._compose_with_retry = engine._compose_with_retry = compose_with_retry
deployer._compose = compose
HOST_WORK = [
    "create_macvlan_network", "create_ipvlan_network", "remove_macvlan_network",
    "setup_host_macvlan", "setup_host_ipvlan", "teardown_host_macvlan", "teardown_host_ipvlan",
    "_sync_logging_helper", "_sync_sessrec_sources", "_sync_auth_helper_sources", "_sync_ntlmssp_sources",
    "_sync_caddy_modules", "_mirror_fleet_deploy_to_db", "_mirror_fleet_teardown_to_db", "_emit_lifecycle_event",
]
for name in HOST_WORK:
    setattr(deployer, name, lambda *_, **__: None)

cidr, gateway, own = args.net.split(":")
executor.detect_interface = lambda: "eth0"
executor.detect_subnet = lambda _interface: (cidr, gateway)
executor.get_host_ip = deployer.get_host_ip = lambda _interface: own


async def no_self_destruct():
    print("self-destruct swallowed", flush=True)


executor.self_destruct = no_self_destruct
heartbeat.INTERVAL_S = args.interval

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(
        app.app,
        host="127.0.0.1",
        port=args.port,
        log_level="warning",
        ssl_keyfile=str(identity / "worker.key"),
        ssl_certfile=str(identity / "worker.crt"),
        ssl_ca_certs=str(identity / "ca.crt"),
        ssl_cert_reqs=2,
    )
