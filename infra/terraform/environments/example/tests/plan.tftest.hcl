# The whole example planned against a provider that answers with made-up values: no account is needed.

mock_provider "aws" {
  override_during = plan

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::bucket", id = "bucket" }
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
  certificate_arn    = "arn:aws:acm:eu-central-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  administrator_arns = ["arn:aws:iam::123456789012:user/someone"]
  alert_emails       = ["ops@example.org"]
  release            = "0.1.0"
  # Any account of services.yaml: values are not looked at here.
  passwords = {
    validate  = "0000000000000000000000000000000000000000"
    derive    = "0000000000000000000000000000000000000000"
    revisions = "0000000000000000000000000000000000000000"
    ai        = "0000000000000000000000000000000000000000"
    tiering   = "0000000000000000000000000000000000000000"
    catalog   = "0000000000000000000000000000000000000000"
    lag       = "0000000000000000000000000000000000000000"
    windows   = "0000000000000000000000000000000000000000"
    router    = "0000000000000000000000000000000000000000"
    operator  = "0000000000000000000000000000000000000000"
    results   = "0000000000000000000000000000000000000000"
    database  = "0000000000000000000000000000000000000000"
  }
}

run "as_it_stands" {
  command = plan
}
