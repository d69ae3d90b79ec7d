"""Clusters and account settings by boto3, on a simulated agent."""
import botocore.exceptions
import pytest


def failure(error):
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_a_cluster_is_made_described_listed_and_deleted(ecs):
    made = ecs.create_cluster(clusterName="life", tags=[{"key": "team", "value": "video"}],
                              settings=[{"name": "containerInsights", "value": "enabled"}],
                              capacityProviders=["FARGATE", "FARGATE_SPOT"],
                              defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1, "base": 1}])["cluster"]
    assert made["clusterArn"].endswith(":cluster/life") and made["status"] == "ACTIVE"
    seen = ecs.describe_clusters(clusters=["life"], include=["TAGS", "SETTINGS", "CONFIGURATIONS"])["clusters"][0]
    assert seen["tags"] == [{"key": "team", "value": "video"}]
    assert {"name": "containerInsights", "value": "enabled"} in seen["settings"]
    assert seen["capacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
    assert seen["defaultCapacityProviderStrategy"] == [{"capacityProvider": "FARGATE", "weight": 1, "base": 1}]
    assert made["clusterArn"] in ecs.list_clusters()["clusterArns"]
    assert ecs.create_cluster(clusterName="plain")["cluster"]["status"] == "ACTIVE"
    ecs.put_cluster_capacity_providers(cluster="plain", capacityProviders=["FARGATE"], defaultCapacityProviderStrategy=[])
    assert ecs.describe_clusters(clusters=["plain"])["clusters"][0]["capacityProviders"] == ["FARGATE"]
    ecs.update_cluster_settings(cluster="plain", settings=[{"name": "containerInsights", "value": "enhanced"}])
    ecs.update_cluster(cluster="plain", settings=[{"name": "containerInsights", "value": "disabled"}])
    for name in ("life", "plain"):
        assert ecs.delete_cluster(cluster=name)["cluster"]["status"] == "INACTIVE"
        assert ecs.describe_clusters(clusters=[name])["clusters"][0]["status"] == "INACTIVE"
    assert made["clusterArn"] not in ecs.list_clusters()["clusterArns"]


def test_an_unknown_cluster_is_a_failure_of_describe_and_an_error_elsewhere(ecs):
    failures = ecs.describe_clusters(clusters=["nowhere"])["failures"]
    assert [(f["reason"], f["arn"].rsplit("/", 1)[1]) for f in failures] == [("MISSING", "nowhere")]
    with pytest.raises(ecs.exceptions.ClusterNotFoundException) as error:
        ecs.list_services(cluster="nowhere")
    assert failure(error) == ("ClusterNotFoundException", "Cluster not found.")


def test_clusters_are_paged_with_tokens_that_do_not_repeat(ecs):
    names = [f"page-{number:02d}" for number in range(23)]
    for name in names:
        ecs.create_cluster(clusterName=name)
    pages = list(ecs.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 5}))
    arns = [arn for page in pages for arn in page["clusterArns"]]
    assert all(len(page["clusterArns"]) <= 5 for page in pages) and "nextToken" not in pages[-1]
    assert len(arns) == len(set(arns)) and {arn.rsplit("/", 1)[1] for arn in arns} >= set(names)
    for name in names:
        ecs.delete_cluster(cluster=name)


@pytest.mark.parametrize("parameters, code, message", [
    ({"settings": [{"name": "containerInsights", "value": "perhaps"}]}, "InvalidParameterException", "Invalid setting 'value'"),
    ({"settings": [{"name": "unheardOf", "value": "enabled"}]}, "InvalidParameterException", "Invalid setting 'name'"),
])
def test_wrong_settings_get_the_words_of_aws(ecs, parameters, code, message):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ecs.create_cluster(clusterName="wrong", **parameters)
    assert failure(error) == (code, message)


def test_managed_scaling_is_taken_as_an_extension(ecs, cluster):
    ecs.update_cluster_settings(cluster=cluster, settings=[{"name": "managedScaling", "value": "enabled"}])
    settings = ecs.describe_clusters(clusters=[cluster], include=["SETTINGS"])["clusters"][0]["settings"]
    assert {"name": "managedScaling", "value": "enabled"} in settings


def test_tags_are_merged_and_taken_off(ecs, cluster):
    arn = ecs.describe_clusters(clusters=[cluster])["clusters"][0]["clusterArn"]
    ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    ecs.tag_resource(resourceArn=arn, tags=[{"key": "b", "value": "3"}])
    ecs.untag_resource(resourceArn=arn, tagKeys=["a", "unknown"])
    assert ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "b", "value": "3"}]


def test_account_settings_are_kept_and_listed(ecs):
    ecs.put_account_setting_default(name="containerInsights", value="enabled")
    try:
        effective = ecs.list_account_settings(name="containerInsights", effectiveSettings=True)["settings"]
        assert [s["value"] for s in effective] == ["enabled"]
        ecs.put_account_setting(name="containerInsights", value="disabled")
        effective = ecs.list_account_settings(name="containerInsights", effectiveSettings=True)["settings"]
        assert [s["value"] for s in effective] == ["disabled"]
    finally:
        ecs.put_account_setting_default(name="containerInsights", value="disabled")


def test_regions_are_kept_apart(simulated, ecs, cluster):
    elsewhere = simulated.client("ecs", region="eu-central-1")
    assert elsewhere.describe_clusters(clusters=[cluster])["clusters"] == []
    assert elsewhere.create_cluster(clusterName=cluster)["cluster"]["clusterArn"].split(":")[3] == "eu-central-1"
    elsewhere.delete_cluster(cluster=cluster)
    assert ecs.describe_clusters(clusters=[cluster])["clusters"][0]["status"] == "ACTIVE"
