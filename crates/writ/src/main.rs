//! The one binary: wires the parts together, and speaks to a running writ.

mod cli;
mod client;
mod commands;
mod demo;
mod docs;
mod failure;
mod logs;
mod packs;
mod person_key;
mod place;
mod render;
mod signing;
mod stores;
mod up;

use clap::{CommandFactory as _, Parser as _};
use cli::{Approval, Cli, Command};
use client::Client;
use commands::{
    Json, approval, archive, autonomy, backup, budget, bulk, decide, directive, edit, explain,
    history, identity, kill, ledger, pack, personal, policy, read, residency, session,
};
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return Failure::failed(format!("cannot start: {error}")).report(),
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let output = if cli.json { Json::Yes } else { Json::No };
    match cli.command {
        Command::Up(up) => {
            logs::start(&up.log)?;
            Box::pin(up::run(*up, output)).await
        }
        Command::Demo(demo) => Box::pin(demo::run(demo, output)).await,
        Command::Witness(witness) => {
            logs::start(&witness.log)?;
            signing::witness(witness, output).await
        }
        Command::AdminToken { place } => Box::pin(up::admin_token(&place)).await,
        Command::Patient(patient) => demo::patient(patient).await,
        Command::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "writ", &mut std::io::stdout());
            Ok(())
        }
        Command::Docs { document } => docs::print(document),
        Command::Approval {
            command: Approval::Verify { file, keys },
        } => approval::run(output, &file, &keys),
        Command::Runbook { name } => explain::runbook(&name),
        Command::Backup { file, data } => backup::backup(output, &data, &file).await,
        Command::Restore { file, data } => Box::pin(backup::restore(output, &file, &data)).await,
        command => Box::pin(ask(&Client::new(&cli.remote)?, output, command)).await,
    }
}

/// Commands that speak to a server.
async fn ask(client: &Client, output: Json, command: Command) -> Result<(), Failure> {
    match command {
        Command::Status => read::status(client, output).await,
        Command::List(list) => read::list(client, output, list).await,
        Command::Show { id, as_of } => read::show(client, output, &id, as_of).await,
        Command::Explain { id } => explain::run(client, output, &id).await,
        Command::Why(why) => ledger::why(client, output, why).await,
        Command::Approve(approve) => decide::approve(client, output, approve).await,
        Command::Reject(reject) => decide::reject(client, output, reject).await,
        Command::Approval {
            command: Approval::Bulk(bulk),
        } => Box::pin(bulk::decide(client, output, bulk)).await,
        Command::Delegation { command } => decide::delegation(client, output, command).await,
        Command::Edit(edit) => edit::edit(client, output, edit).await,
        Command::Propose { file } => decide::propose(client, output, &file).await,
        Command::Ack { id, note } => {
            decide::incident(client, output, "acknowledge", &id, &note).await
        }
        Command::Resolve { id, note } => {
            decide::incident(client, output, "resolve", &id, &note).await
        }
        Command::Close { id, note } => decide::incident(client, output, "close", &id, &note).await,
        Command::Pause(to) => decide::directive(client, output, "pause", &to).await,
        Command::Resume(to) => decide::directive(client, output, "resume", &to).await,
        Command::Abort(to) => decide::directive(client, output, "abort", &to).await,
        Command::Retry { id } => decide::retry(client, output, &id).await,
        Command::Rollback(to) => decide::directive(client, output, "rollback", &to).await,
        Command::Directive { command } => directive::run(client, output, command).await,
        Command::Conflicts => read::conflicts(client, output).await,
        Command::History(of) => history::run(client, output, &of).await,
        Command::Kill { command } => kill::run(client, output, command).await,
        Command::Autonomy { command } => autonomy::run(client, output, command).await,
        Command::Ledger { command } => ledger::run(client, output, command).await,
        Command::Archive { at, command } => {
            Box::pin(archive::run(client, output, &at, command)).await
        }
        Command::Replay(replay) => ledger::replayed(client, output, replay).await,
        Command::Budget { command } => budget::run(client, output, command).await,
        Command::Session { command } => session::run(client, output, command).await,
        Command::Pack { command } => pack::run(client, output, command).await,
        Command::Residency { command } => residency::run(client, output, command).await,
        Command::Policy { command } => policy::run(client, output, command).await,
        Command::Tenant { command } => identity::tenant(client, output, command).await,
        Command::Principal { command } => identity::principal(client, output, command).await,
        Command::Key { command } => identity::key(client, output, command).await,
        Command::Erase {
            subject,
            reason,
            confirm,
        } => personal::erase(client, output, &subject, &reason, confirm).await,
        Command::Readmit { subject, reason } => {
            personal::readmit(client, output, &subject, &reason).await
        }
        Command::Open { kind, id, reason } => {
            personal::open(client, output, &kind, &id, &reason).await
        }
        Command::Keyring { command } => personal::keyring(client, output, command).await,
        Command::Up(_)
        | Command::Demo(_)
        | Command::AdminToken { .. }
        | Command::Runbook { .. }
        | Command::Witness(_)
        | Command::Backup { .. }
        | Command::Restore { .. }
        | Command::Patient(_)
        | Command::Completions { .. }
        | Command::Approval {
            command: Approval::Verify { .. },
        }
        | Command::Docs { .. } => Ok(()),
    }
}
