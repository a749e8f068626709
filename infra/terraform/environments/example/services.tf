# What each container is started with. Secrets come by name: their values are in no plan and no state.

# The keys of the protected blocks. Their value is put there by a person (README.md), once, and never changes.
resource "aws_secretsmanager_secret" "site_keys" {
  name        = "${var.name}/site-keys"
  description = "Keys of the protected blocks, as streams/protected_keys.py writes them"
  kms_key_id  = module.kms.arns["secrets"]

  lifecycle {
    # Without these keys no patient's name can be read again.
    prevent_destroy = true
  }
}

# The keys that the heads of chains are signed with. A person puts them there (README.md); new ones are added, none taken away.
resource "aws_secretsmanager_secret" "chain_keys" {
  name        = "${var.name}/chain-keys"
  description = "Keys that sign the heads of chains, as streams/chains/keys.py writes them"
  kms_key_id  = module.kms.arns["secrets"]
}

# Who may send and ask for the worklist, and our side of TLS: one JSON object that a person puts there (README.md).
resource "aws_secretsmanager_secret" "trust" {
  name        = "${var.name}/trust"
  description = "peers, certificate, key and ca: the texts of the router's files"
  kms_key_id  = module.kms.arns["secrets"]
}

# The schema registry's ids, put there by a person after `setup` has printed them (README.md). Nothing secret.
resource "aws_ssm_parameter" "schema_ids" {
  name  = "/${var.name}/schema-ids"
  type  = "String"
  value = "{}"

  lifecycle {
    ignore_changes = [value]
  }
}

locals {
  site = "${path.module}/${var.site_folder}"
  # A task definition has room for 64 KiB of all that stands in it, and nothing secret is in these.
  files_of = {
    for service, entry in local.house : service => {
      for name in entry.files : "RADSTREAM_${upper(name)}" => file("${local.site}/${name}.toml")
    }
  }

  secrets_of = {
    for service, entry in local.house : service => merge(
      {
        KAFKA_USERNAME       = "${module.msk.secret_arns[service]}:username::"
        KAFKA_PASSWORD       = "${module.msk.secret_arns[service]}:password::"
        RADSTREAM_SCHEMA_IDS = aws_ssm_parameter.schema_ids.arn
      },
      contains(entry.secrets, "site-keys") ? { RADSTREAM_SITE_KEYS = aws_secretsmanager_secret.site_keys.arn } : {},
      contains(entry.secrets, "chain-keys") ? { RADSTREAM_CHAIN_KEYS = aws_secretsmanager_secret.chain_keys.arn } : {},
      contains(entry.secrets, "trust") ? { RADSTREAM_PEERS = "${aws_secretsmanager_secret.trust.arn}:peers::" } : {},
      contains(entry.secrets, "trust") || contains(entry.secrets, "certificate") ? {
        RADSTREAM_TLS_CERTIFICATE = "${aws_secretsmanager_secret.trust.arn}:certificate::"
        RADSTREAM_TLS_KEY         = "${aws_secretsmanager_secret.trust.arn}:key::"
        RADSTREAM_TLS_CA          = "${aws_secretsmanager_secret.trust.arn}:ca::"
      } : {},
      contains(entry.secrets, "database") ? {
        DATABASE_USERNAME = "${module.catalog.secret_arn}:username::"
        DATABASE_PASSWORD = "${module.catalog.secret_arn}:password::"
      } : {},
    )
  }

  secret_arns = merge(
    {
      for service, entry in local.house : service => concat(
        [module.msk.secret_arns[service]],
        contains(entry.secrets, "site-keys") ? [aws_secretsmanager_secret.site_keys.arn] : [],
        contains(entry.secrets, "chain-keys") ? [aws_secretsmanager_secret.chain_keys.arn] : [],
        contains(entry.secrets, "trust") || contains(entry.secrets, "certificate") ? [aws_secretsmanager_secret.trust.arn] : [],
        contains(entry.secrets, "database") ? [module.catalog.secret_arn] : [],
      )
    },
    { triton = [], collector = [], schema-registry = [module.catalog.secret_arn] },
  )

  # radstream.toml of each service; names between @ are filled in from its secrets as the container starts.
  configuration = {
    for service, entry in local.house : service => templatefile("${path.module}/radstream.toml.tftpl", {
      tenant    = var.tenant
      site      = var.site
      region    = var.region
      bootstrap = module.msk.bootstrap_scram
      registry  = "http://schema-registry.${local.domain}:8080/apis/ccompat/v7"
      buckets   = { for tier, bucket in module.storage.buckets : tier => bucket.name }
      section   = service
      routes    = contains(entry.files, "routes")
      nodes     = contains(entry.files, "nodes")
      sections  = file("${local.site}/sections.toml")
      # HL7 has no peers file: orders come from the hospital's networks, by TLS, from whose certificate is named.
      settings = merge({ http_port = entry.port, http_host = "0.0.0.0" }, entry.settings,
      service == "orders" ? { addresses = var.hospital_cidrs } : {})
      tables = {
        for name, table in try(entry.tables, {}) : name => merge(table,
        service == "orders" ? { common_names = var.order_senders } : {})
      }
    })
  }

  # By what stands beside the services, what they are started with.
  beside_environment = {
    triton    = {}
    collector = { AOT_CONFIG_CONTENT = module.observability.collector_config }
    schema-registry = {
      APICURIO_STORAGE_KIND     = "sql"
      APICURIO_STORAGE_SQL_KIND = "postgresql"
      APICURIO_DATASOURCE_URL   = "jdbc:postgresql://${module.catalog.address}/radstream?sslmode=require"
    }
  }
  beside_secrets = {
    triton    = {}
    collector = {}
    schema-registry = {
      APICURIO_DATASOURCE_USERNAME = "${module.catalog.secret_arn}:username::"
      APICURIO_DATASOURCE_PASSWORD = "${module.catalog.secret_arn}:password::"
    }
  }

  running = merge(
    {
      for service, entry in local.house : service => {
        image   = "${module.registry.repositories[service].url}:${var.release}"
        cpu     = entry.cpu
        memory  = entry.memory
        gpu     = 0
        ports   = [for port in [entry.port, try(entry.door, null)] : port if port != null]
        count   = entry.count
        lag     = entry.lag
        command = ["python", "-m", "infra.container", "start", entry.module]
        health  = ["CMD", "python", "-m", "infra.container", "healthy", tostring(entry.port)]
        environment = merge(
          { RADSTREAM_CONFIG_TEXT = local.configuration[service], AWS_REGION = var.region },
          contains(entry.secrets, "database") ? { DATABASE_ADDRESS = module.catalog.address } : {},
          local.files_of[service],
        )
        secrets        = local.secrets_of[service]
        task_role_arn  = module.iam.task_role_arns[service]
        start_role_arn = module.iam.start_role_arns[service]
        log_group      = module.observability.log_groups[service].name
      }
    },
    {
      for name, entry in local.beside : name => {
        image          = "${module.registry.repositories[name].url}:${var.release}"
        cpu            = entry.cpu
        memory         = entry.memory
        gpu            = entry.gpu
        ports          = entry.ports
        count          = entry.count
        lag            = 0
        command        = []
        health         = entry.health
        environment    = local.beside_environment[name]
        secrets        = local.beside_secrets[name]
        task_role_arn  = module.iam.task_role_arns[name]
        start_role_arn = module.iam.start_role_arns[name]
        log_group      = module.observability.log_groups[name].name
      }
    },
  )
}
