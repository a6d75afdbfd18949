//! Directives: drafts from templates, versions and what they differ in.

use super::{Json, escaped, items, print, query};
use crate::cli::{Directive, Draft};
use crate::client::Client;
use crate::failure::Failure;
use crate::render;
use serde_json::{Map, Value, json};

pub(crate) async fn run(client: &Client, output: Json, command: Directive) -> Result<(), Failure> {
    match command {
        Directive::Templates => templates(client, output).await,
        Directive::Draft(asked) => draft(client, output, asked).await,
        Directive::Diff { id, from, to } => {
            let number = |n: Option<u32>| n.map(|n| n.to_string());
            let asked = query(&[("from", number(from)), ("to", number(to))]);
            let path = format!("/v1/directives/{}/diff{asked}", escaped(&id));
            let answer = client.get(&path).await?;
            print(output, &answer, differs);
            Ok(())
        }
    }
}

fn differs(answer: &Value) -> String {
    let changes = answer.get("changes").and_then(Value::as_array);
    let columns = [("field", "path"), ("was", "before"), ("is", "after")];
    format!(
        "version {} and version {}\n{}",
        render::text(answer, "from.revision"),
        render::text(answer, "to.revision"),
        render::table(changes.map_or(&[], Vec::as_slice), &columns)
    )
}

async fn templates(client: &Client, output: Json) -> Result<(), Failure> {
    let answer = client.get("/v1/templates").await?;
    let rows: Vec<Value> =
        items(&answer)
            .into_iter()
            .map(|template| {
                let declared = template.get("parameters").and_then(Value::as_object);
                let names = declared.into_iter().flatten().map(|(name, schema)| {
                    match schema.get("default") {
                        Some(default) => format!("{name}={default}"),
                        None => name.clone(),
                    }
                });
                json!({
                    "name": template.get("name"),
                    "for": template.get("subject_type"),
                    "title": template.get("title"),
                    "parameters": Vec::from_iter(names).join(", "),
                })
            })
            .collect();
    let columns = [
        ("name", "name"),
        ("for", "for"),
        ("title", "title"),
        ("parameters", "parameters"),
    ];
    print(output, &answer, |_| render::table(&rows, &columns));
    Ok(())
}

async fn draft(client: &Client, output: Json, asked: Draft) -> Result<(), Failure> {
    let base = format!("/v1/templates/{}", escaped(&asked.template));
    let template = client.get(&base).await?;
    let mut parameters = Map::new();
    for given in &asked.parameters {
        let (name, text) = given.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--set `{given}`: no `=`")).hint("write NAME=VALUE")
        })?;
        let value = typed(template.get("parameters").and_then(|p| p.get(name)), text);
        if parameters.insert(name.to_owned(), value).is_some() {
            return Err(Failure::usage(format!("--set `{name}` stands twice")));
        }
    }
    let body = json!({
        "subject": asked.subject,
        "parameters": parameters,
        "origin": asked.origin,
        "wanted": if asked.propose { "propose" } else { "draft" },
    });
    let answer = client.post(&format!("{base}/directives"), &body).await?;
    print(output, &answer, render::thing);
    Ok(())
}

/// The value of a parameter: text where text is taken, else JSON where it is
/// any. What does not fit is refused by the server, which names it.
fn typed(declared: Option<&Value>, text: &str) -> Value {
    let takes_text = declared
        .and_then(|schema| schema.get("type"))
        .is_some_and(|kind| kind == "string");
    match serde_json::from_str(text) {
        Ok(value) if !takes_text => value,
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_the_type_that_is_declared() {
        let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer" }));
        for (declared, given, expected) in [
            (Some(&text), "12", json!("12")),
            (Some(&text), "a=b", json!("a=b")),
            (Some(&number), "12", json!(12)),
            (Some(&number), "twelve", json!("twelve")),
            (None, "true", json!(true)),
            (None, "word", json!("word")),
        ] {
            assert_eq!(typed(declared, given), expected, "{given}");
        }
    }
}
