//! `agent completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::output::print;
use super::{Cli, exit};

const EXAMPLES: &str = "Examples:
  source <(agent completions bash)        in ~/.bashrc
  source <(agent completions zsh)         in ~/.zshrc, after compinit
  agent completions fish > ~/.config/fish/completions/agent.fish";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &CompletionsArgs) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "agent", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(exit::SAME)
}
