"""QIDO-RS of the running stack, with a client that nobody here wrote."""

from __future__ import annotations

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from gateway.config import Settings
from tests.running_stack import RunningStack


@pytest.fixture
def root(stack: RunningStack) -> str:
    settings = stack.config.section("gateway", Settings)
    return f"http://{settings.host}:{settings.port}/dicomweb"


def test_dicomweb_client_goes_from_study_to_instance(root: str) -> None:
    """With whatever the stack has: each level agrees with the one above it."""
    client = DICOMwebClient(root)
    for found in client.search_for_studies(limit=5, fields=["StudyDescription"]):
        study = Dataset.from_json(found)
        series = [Dataset.from_json(one) for one in client.search_for_series(study_instance_uid=study.StudyInstanceUID)]
        assert len(series) == study.NumberOfStudyRelatedSeries
        instances = client.search_for_instances(study_instance_uid=study.StudyInstanceUID)
        assert len(instances) == study.NumberOfStudyRelatedInstances
        assert sum(one.NumberOfSeriesRelatedInstances for one in series) == len(instances)
        by_patient = client.search_for_studies(search_filters={"StudyInstanceUID": study.StudyInstanceUID})
        assert [one["0020000D"]["Value"][0] for one in by_patient] == [study.StudyInstanceUID]


def test_requests_reads_json_by_its_plain_name(root: str) -> None:
    answer = requests.get(f"{root}/studies", {"limit": 1}, headers={"Accept": "application/json"}, timeout=30)
    assert answer.status_code in (200, 204)
    assert answer.status_code == 204 or isinstance(answer.json(), list)
