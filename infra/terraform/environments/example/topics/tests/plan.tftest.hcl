# Topics and grants planned against a provider that answers with nothing.

mock_provider "kafka" {}

variables {
  bootstrap = "b-1:9098,b-2:9098,b-3:9098"
  role_arn  = "arn:aws:iam::123456789012:role/radstream-topics"
}

run "as_topics_yaml_says" {
  command = plan

  assert {
    condition     = toset(output.names) == toset(keys(module.topic_list.topics))
    error_message = "One topic for each name of the list."
  }
}

run "a_listener_for_nobody" {
  command = plan

  variables {
    bootstrap = "b-1:9092"
  }

  expect_failures = [var.bootstrap]
}
