# The whole example planned against a provider that answers with made-up values: no account is needed.

mock_provider "aws" {
  override_during = plan

  mock_resource "aws_s3_bucket" {
    defaults = { id = "bucket" }
  }
  mock_resource "aws_vpc_endpoint" {
    defaults = { id = "vpce-0", prefix_list_id = "pl-0" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:some" }
  }
  mock_resource "aws_ecr_repository" {
    defaults = {
      arn            = "arn:aws:ecr:eu-central-1:123456789012:repository/some"
      repository_url = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/some"
    }
  }
  mock_resource "aws_ssm_parameter" {
    defaults = { arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/some" }
  }
  mock_resource "aws_prometheus_workspace" {
    defaults = {
      arn                 = "arn:aws:aps:eu-central-1:123456789012:workspace/some"
      prometheus_endpoint = "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/some/"
    }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:some" }
  }
  mock_resource "aws_db_instance" {
    defaults = { address = "catalog.example" }
  }
  mock_resource "aws_ecs_cluster" {
    defaults = { id = "cluster" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/some" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_msk_cluster" {
    defaults = {
      arn                          = "arn:aws:kafka:eu-central-1:123456789012:cluster/example/00000000-0000-0000-0000-000000000000-1"
      bootstrap_brokers_sasl_scram = "b-1:9096,b-2:9096,b-3:9096"
      bootstrap_brokers_sasl_iam   = "b-1:9098,b-2:9098,b-3:9098"
    }
  }
  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:some" }
  }
}

variables {
  account_id         = "123456789012"
  hospital_cidrs     = ["192.0.2.0/24"]
  order_senders      = ["ris.example.org"]
  administrator_arns = ["arn:aws:iam::123456789012:user/someone"]
  alert_emails       = ["ops@example.org"]
  release            = "0.1.0"
  # Any account of services.yaml: values are not looked at here.
  passwords = {
    validate   = "0000000000000000000000000000000000000000"
    derive     = "0000000000000000000000000000000000000000"
    revisions  = "0000000000000000000000000000000000000000"
    chains     = "0000000000000000000000000000000000000000"
    ai         = "0000000000000000000000000000000000000000"
    forward    = "0000000000000000000000000000000000000000"
    tiering    = "0000000000000000000000000000000000000000"
    commitment = "0000000000000000000000000000000000000000"
    catalog    = "0000000000000000000000000000000000000000"
    lag        = "0000000000000000000000000000000000000000"
    windows    = "0000000000000000000000000000000000000000"
    orders     = "0000000000000000000000000000000000000000"
    worklist   = "0000000000000000000000000000000000000000"
    gateway    = "0000000000000000000000000000000000000000"
    retrieve   = "0000000000000000000000000000000000000000"
    router     = "0000000000000000000000000000000000000000"
    operator   = "0000000000000000000000000000000000000000"
    repair     = "0000000000000000000000000000000000000000"
    results    = "0000000000000000000000000000000000000000"
    database   = "0000000000000000000000000000000000000000"
  }
}

# The Python tests look at this plan: policies, buckets, tasks (tests/contract/test_terraform_plan.py).
run "as_it_stands" {
  command = plan

  assert {
    condition     = alltrue([for text in values(output.configuration) : strcontains(text, "SASL_SSL")])
    error_message = "Every service talks to the brokers over TLS, with an account."
  }
  assert {
    condition     = alltrue([for text in values(output.configuration) : !strcontains(text, "access_key")])
    error_message = "No service has keys of the store: it has a role."
  }
}

run "a_version_names_one_image" {
  command = plan

  variables {
    release = "latest"
  }

  expect_failures = [var.release]
}
