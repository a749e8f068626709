# One site in one account and region. Topics and grants are in the folder topics beside this: brokers are reached from
# inside the network only.

locals {
  lag_metric       = "radstream_group_lag_records"
  metric_namespace = "radstream"
  domain           = "radstream.internal"
  house            = module.topic_list.services
  beside           = module.topic_list.beside
  doors            = { for service, entry in local.house : service => { port = entry.door, http_port = entry.port } if can(entry.door) }
  all              = sort(concat(keys(local.house), keys(local.beside)))
}

module "topic_list" {
  source = "../../modules/topic_list"
}

module "kms" {
  source     = "../../modules/kms"
  name       = var.name
  region     = var.region
  account_id = var.account_id
}

module "network" {
  source       = "../../modules/network"
  name         = var.name
  region       = var.region
  zones        = var.zones
  cidr         = var.cidr
  logs_key_arn = module.kms.arns["logs"]
}

module "msk" {
  source          = "../../modules/msk"
  name            = var.name
  vpc_id          = module.network.vpc_id
  subnet_ids      = module.network.subnet_ids
  client_cidr     = module.network.cidr
  instance_type   = var.broker_type
  replicas        = module.topic_list.replicas
  accounts        = module.topic_list.accounts
  passwords       = { for account, password in var.passwords : account => password if account != "database" }
  kafka_key_arn   = module.kms.arns["kafka"]
  secrets_key_arn = module.kms.arns["secrets"]
  logs_key_arn    = module.kms.arns["logs"]
}

module "storage" {
  source          = "../../modules/storage"
  name            = var.name
  account_id      = var.account_id
  storage_key_arn = module.kms.arns["storage"]
  s3_endpoint_id  = module.network.s3_endpoint_id
}

module "catalog" {
  source          = "../../modules/catalog"
  name            = var.name
  vpc_id          = module.network.vpc_id
  subnet_ids      = module.network.subnet_ids
  client_cidr     = module.network.cidr
  password        = var.passwords["database"]
  catalog_key_arn = module.kms.arns["catalog"]
  secrets_key_arn = module.kms.arns["secrets"]
}

module "cache" {
  source          = "../../modules/cache"
  name            = var.name
  vpc_id          = module.network.vpc_id
  subnet_ids      = module.network.subnet_ids
  client_cidr     = module.network.cidr
  catalog_key_arn = module.kms.arns["catalog"]
}

module "registry" {
  source       = "../../modules/registry"
  name         = var.name
  images       = local.all
  logs_key_arn = module.kms.arns["logs"]
}

module "observability" {
  source           = "../../modules/observability"
  name             = var.name
  region           = var.region
  account_id       = var.account_id
  domain           = local.domain
  services         = local.all
  metrics_ports    = { for service, entry in local.house : service => entry.port }
  metric_namespace = local.metric_namespace
  lag_metric       = local.lag_metric
  collector_role   = module.iam.task_role_names["collector"]
  alert_emails     = var.alert_emails
  logs_key_arn     = module.kms.arns["logs"]
}

module "iam" {
  source     = "../../modules/iam"
  name       = var.name
  region     = var.region
  account_id = var.account_id
  tenant     = var.tenant
  services = merge(
    { for service, entry in local.house : service => { looks = true, store = entry.store } },
    { for service in keys(local.beside) : service => { looks = false, store = [] } },
  )
  buckets            = module.storage.buckets
  repositories       = module.registry.repositories
  secret_arns        = local.secret_arns
  schema_ids_arn     = aws_ssm_parameter.schema_ids.arn
  log_group_arns     = { for service, log in module.observability.log_groups : service => log.arn }
  cluster_arn        = module.msk.cluster_arn
  administrator_arns = var.administrator_arns
  storage_key_arn    = module.kms.arns["storage"]
  secrets_key_arn    = module.kms.arns["secrets"]
}

module "services" {
  source            = "../../modules/services"
  name              = var.name
  region            = var.region
  vpc_id            = module.network.vpc_id
  subnet_ids        = module.network.subnet_ids
  cidr              = module.network.cidr
  s3_prefix_list_id = module.network.s3_prefix_list_id
  domain            = local.domain
  hospital_cidrs    = var.hospital_cidrs
  doors             = local.doors
  lanes             = concat(module.topic_list.lanes, ["-"])
  metric_namespace  = local.metric_namespace
  lag_metric        = local.lag_metric
  services          = local.running
}
