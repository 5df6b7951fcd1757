"""Drives every `client.connector.*` method of the official Python client against the node at the given URL.

Usage: connector_client.py URL FOLDER

FOLDER is a folder with text files; a daemon that serves every connector must be running against the node: the last part
creates a connector for the folder, starts a job and reads the result.
"""

import sys
import time
import warnings
from pathlib import Path

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

warnings.simplefilter("error", DeprecationWarning)
warnings.filterwarnings("ignore", category=Warning, message=".*preview.*|.*beta.*|.*experimental.*")


def expect(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")


def refused(call, *fragments):
    try:
        call()
    except (BadRequestError, NotFoundError) as error:
        text = str(error.body)
        for fragment in fragments:
            expect(fragment in text, f"'{fragment}' in {text}")
        return
    raise SystemExit(f"failed: not refused: {fragments}")


def field(**more):
    return {"label": "Host", "type": "str", "display": "textbox", "order": 1, "required": True, **more}


def connectors(client):
    api = client.connector
    posted = api.post(name="posted", index_name="py-posted", service_type="dir")
    expect(posted["result"] == "created" and posted["id"], posted)
    put = api.put(connector_id="py-1", name="One", index_name="py-one", service_type="dir", language="en")
    expect(put["result"] == "created" and put["id"] == "py-1", put)
    expect(api.put(connector_id="py-1", name="One", index_name="py-one", service_type="dir")["result"] == "updated", "put again")
    refused(lambda: api.put(connector_id="py-2", index_name="py-one"), "Index name [py-one] is used by another connector.")

    one = api.get(connector_id="py-1").body
    expect(next(iter(one)) == "id" and one["status"] == "created" and one["name"] == "One", one)
    refused(lambda: api.get(connector_id="nobody"), "connector [nobody] not found")
    listed = api.list(index_name=["py-one", "py-posted"], from_=0, size=10)
    expect(listed["count"] == 2 and [c["index_name"] for c in listed["results"]] == ["py-one", "py-posted"], listed)
    expect(api.list(query="post", service_type="dir")["count"] == 1, "list by query")

    expect(api.check_in(connector_id="py-1")["result"] == "updated", "check in")
    expect(api.update_configuration(connector_id="py-1", configuration={"host": field(value="a")})["result"] == "updated", "configuration")
    expect(api.update_configuration(connector_id="py-1", values={"host": "b"})["result"] == "updated", "values")
    refused(lambda: api.update_configuration(connector_id="py-1", values={"port": 1}), "Unknown [configuration] fields")
    one = api.get(connector_id="py-1").body
    expect(one["configuration"]["host"]["value"] == "b" and one["status"] == "configured", one)

    expect(api.update_status(connector_id="py-1", status="connected")["result"] == "updated", "status")
    refused(lambda: api.update_status(connector_id="py-1", status="created"), "Invalid transition attempt from [connected] to [created]")
    expect(api.update_error(connector_id="py-1", error="oops")["result"] == "updated", "error")
    expect(api.get(connector_id="py-1")["status"] == "error", "an error sets the status")
    features = {"sync_rules": {"basic": {"enabled": True}, "advanced": {"enabled": False}}, "incremental_sync": {"enabled": True}}
    expect(api.update_features(connector_id="py-1", features=features)["result"] == "updated", "features")
    expect(api.update_name(connector_id="py-1", name="Eins", description="the first")["result"] == "updated", "name")
    expect(api.update_index_name(connector_id="py-1", index_name="py-eins")["result"] == "updated", "index name")
    expect(api.update_native(connector_id="py-1", is_native=False)["result"] == "noop", "native")
    expect(api.update_service_type(connector_id="py-1", service_type="s3")["result"] == "updated", "service type")
    expect(api.update_api_key_id(connector_id="py-1", api_key_id="k", api_key_secret_id="s")["result"] == "updated", "api key")
    pipeline = {"name": "p", "extract_binary_content": True, "reduce_whitespace": True, "run_ml_inference": False}
    expect(api.update_pipeline(connector_id="py-1", pipeline=pipeline)["result"] == "updated", "pipeline")
    schedule = {"full": {"enabled": False, "interval": "0 0 0 ? * mon-fri"}}
    expect(api.update_scheduling(connector_id="py-1", scheduling=schedule)["result"] == "updated", "scheduling")
    expect(api.get(connector_id="py-1")["scheduling"]["full"]["interval"] == "0 0 0 ? * MON-FRI", "stored in capitals")
    refused(lambda: api.update_scheduling(connector_id="py-1", scheduling={"full": {"enabled": True, "interval": "0 0 0 * * *"}}), "invalid cron expression")

    rule = {"id": "r1", "field": "ext", "order": 3, "policy": "exclude", "rule": "equals", "value": "zip"}
    now = "2026-01-01T00:00:00Z"
    rule.update(created_at=now, updated_at=now)
    expect(api.update_filtering(connector_id="py-1", rules=[rule])["result"] == "updated", "draft")
    refused(lambda: api.update_active_filtering(connector_id="py-1"), "Filtering draft needs to be validated")
    valid = {"state": "valid", "errors": []}
    expect(api.update_filtering_validation(connector_id="py-1", validation=valid)["result"] == "updated", "validation")
    expect(api.update_active_filtering(connector_id="py-1")["result"] == "updated", "activation")
    rules = api.get(connector_id="py-1")["filtering"][0]["active"]["rules"]
    expect([r["id"] for r in rules] == ["r1", "DEFAULT"], rules)

    last = api.last_sync(connector_id="py-1", last_sync_status="completed", last_indexed_document_count=7, sync_cursor={"a": 1}, last_synced=now)
    expect(last["result"] == "updated", "last sync")
    expect(api.get(connector_id="py-1")["last_indexed_document_count"] == 7, "last sync is stored")

    expect(api.delete(connector_id=posted["id"])["acknowledged"], "soft delete")
    refused(lambda: api.get(connector_id=posted["id"]), "not found")
    expect(api.get(connector_id=posted["id"], include_deleted=True)["deleted"] is True, "still there")
    expect(api.delete(connector_id=posted["id"], hard=True)["acknowledged"], "hard delete")


def jobs(client):
    api = client.connector
    api.put(connector_id="py-jobs", index_name="py-jobs", service_type="nothing-serves-this")
    refused(lambda: api.sync_job_post(id="nobody"), "Connector with id 'nobody' does not exist.")
    job = api.sync_job_post(id="py-jobs", job_type="full", trigger_method="on_demand")["id"]
    other = api.sync_job_post(id="py-jobs")["id"]
    expect(api.sync_job_get(connector_sync_job_id=job)["status"] == "pending", "pending")
    refused(lambda: api.sync_job_error(connector_sync_job_id=job, error="x"), "Invalid transition attempt from [pending] to [error]")
    listed = api.sync_job_list(connector_id="py-jobs", status="pending", job_type="full", from_=0, size=10)
    expect(listed["count"] == 2 and [j["id"] for j in listed["results"]] == [other, job], "newest first")
    claimed = api.sync_job_claim(connector_sync_job_id=job, worker_hostname="here", sync_cursor={"c": 1})
    expect(claimed["result"] == "updated", claimed)
    expect(api.sync_job_check_in(connector_sync_job_id=job)["result"] == "updated", "check in")
    stats = api.sync_job_update_stats(
        connector_sync_job_id=job, deleted_document_count=1, indexed_document_count=2, indexed_document_volume=3, total_document_count=4
    )
    expect(stats["result"] == "updated", stats)
    seen = api.sync_job_get(connector_sync_job_id=job).body
    expect((seen["status"], seen["worker_hostname"], seen["total_document_count"]) == ("in_progress", "here", 4), seen)
    expect(api.sync_job_error(connector_sync_job_id=job, error="broken")["result"] == "updated", "error")
    expect(api.sync_job_cancel(connector_sync_job_id=other)["result"] == "updated", "cancel")
    expect(api.sync_job_get(connector_sync_job_id=other)["status"] == "canceled", "canceled")
    expect(api.sync_job_delete(connector_sync_job_id=other)["acknowledged"], "delete")
    refused(lambda: api.sync_job_get(connector_sync_job_id=other), other)
    expect(api.delete(connector_id="py-jobs", delete_sync_jobs=True)["acknowledged"], "delete with jobs")


def secrets(client):
    put = client.perform_request("PUT", "/_connector/_secret/s1", body={"value": "x"}, headers={"accept": "application/json", "content-type": "application/json"})
    expect(put["result"] == "created", put)
    expect(client.perform_request("GET", "/_connector/_secret/s1", headers={"accept": "application/json"})["value"] == "x", "secret")


def first_sync(client, folder):
    """Creates a connector, starts a job and reads the result, as a user of the client would."""
    client.connector.put(connector_id="py-docs", name="Docs", index_name="py-docs", service_type="dir")
    deadline = time.monotonic() + 60
    while not client.connector.get(connector_id="py-docs")["configuration"]:
        expect(time.monotonic() < deadline, "the daemon registered its configuration")
        time.sleep(0.2)
    client.connector.update_configuration(connector_id="py-docs", values={"directory": str(folder)})
    job = client.connector.sync_job_post(id="py-docs")["id"]
    while True:
        seen = client.connector.sync_job_get(connector_sync_job_id=job).body
        if seen["status"] in ("completed", "error", "canceled"):
            break
        expect(time.monotonic() < deadline, f"the job ends: {seen}")
        time.sleep(0.2)
    files = [path for path in folder.rglob("*.*") if path.is_file()]
    expect(seen["status"] == "completed" and seen["indexed_document_count"] == len(files), seen)
    client.indices.refresh(index="py-docs")
    expect(client.count(index="py-docs")["count"] == len(files), "all files are there")
    word = files[0].read_text().split()[0]
    hits = client.search(index="py-docs", query={"match": {"body": word}})["hits"]
    expect(hits["total"]["value"] >= 1, f"'{word}' is found")


def main():
    url, folder = sys.argv[1], Path(sys.argv[2])
    client = Elasticsearch(url, request_timeout=30)
    connectors(client)
    jobs(client)
    secrets(client)
    first_sync(client, folder)
    print("ok")


main()
