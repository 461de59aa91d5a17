// Command exai-mcp is an MCP server that gives coding agents second opinions from GLM and Kimi models.
//
// Without a subcommand it serves MCP over stdin and stdout. main.go says how the program is called and how it ends,
// program.go how its parts are put together; each subcommand has a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/typo"
)

// Exit codes, as the help text lists them.
const (
	exitOK      = 0
	exitFailed  = 1   // what was asked for was done, and the outcome is a failure
	exitUsage   = 2   // wrong arguments, or a setting that is not accepted
	exitStopped = 130 // a second signal cut the end short
)

func main() {
	ctx := untilSignal()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// untilSignal is a context that ends with the first SIGINT or SIGTERM. A second one ends the process on the spot. A
// client that closes our stdout is seen by the write that fails, not by a signal that kills us with work unstored.
func untilSignal() context.Context {
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		cancel(fmt.Errorf("stopped by %v", <-signals))
		<-signals
		os.Exit(exitStopped)
	}()
	return ctx
}

// run is the whole program: it returns the exit code. It ends soon after ctx does.
func run(ctx context.Context, args, environ []string, in io.Reader, out, errw io.Writer) int {
	stderr := errw
	errw = zapcore.Lock(zapcore.AddSync(errw)) // a call's progress and the log are written side by side
	printed := &output{w: out}
	a := &app{environ: environ, in: in, stdout: out, out: printed, errw: errw, stderr: stderr}
	err := a.execute(ctx, args)
	var failed failure
	var coded exitError
	if full := printed.failed(); full != nil {
		err = exitError{max(a.fullCode, exitFailed), full}
	}
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		if coded.err != nil {
			fmt.Fprintf(errw, "exai-mcp: %v\n", coded.err)
		}
		return coded.code
	case errors.As(err, &failed):
		if failed.err != nil {
			fmt.Fprintf(errw, "exai-mcp: %v\n", failed.err)
		}
		return exitFailed
	default:
		fmt.Fprintf(errw, "exai-mcp: %v\n", err)
		return exitUsage
	}
}

// execute runs the command that the arguments name.
func (a *app) execute(ctx context.Context, args []string) error {
	if len(args) == 0 { // as every client starts us: without the time that it takes to make all the commands
		return a.serve(ctx)
	}
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errw)
	addCompletionCommand(root) // which keeps what it writes to
	if completing(args) {
		a.addCompletions(root)
	} else if width := a.lineWidth(); width > 0 {
		fitHelp(root, width)
	}
	return errors.Join(root.ExecuteContext(ctx), a.helpErr)
}

// failure is an outcome with exit code 1. An err of nil says that the command has told all there is to tell.
type failure struct{ err error }

func (f failure) Error() string { return fmt.Sprint(f.err) }

// exitError is an outcome with an exit code of the command's own. An err of nil says nothing more.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return fmt.Sprint(e.err) }
func (e exitError) Unwrap() error { return e.err }

// app is what every subcommand starts from.
type app struct {
	environ []string
	in      io.Reader
	stdout  io.Writer // of the server: the protocol
	out     io.Writer // of every other command
	errw    io.Writer
	stderr  io.Writer // errw without its lock, to ask whether it is a terminal
	envFile string    // --env-file

	readable      string // the folder that may be read in place of the working directory; "" for that
	judgesProject bool   // the working directory's .env is not read
	printsOutcome bool   // the command says itself how its tool call failed
	fullCode      int    // the exit code after a failed write, where it is not 1
	helpErr       error  // why --help could not be answered, which the command line's library does not pass on

	// Vendors beside those that are built in, and how their providers are made.
	moreVendors   []config.VendorRow
	moreProviders []newProvider
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "exai-mcp",
		Short: "Second opinions from GLM and Kimi for coding agents, over MCP",
		Long: `exai-mcp is an MCP server that gives coding agents second opinions from GLM (Z.ai) and Kimi (Moonshot) models.

Without a subcommand it serves MCP over stdin and stdout, which is what an MCP client starts it for. A person begins with

  exai-mcp demo      see it work: no key, no network
  exai-mcp doctor    check the setup and print how to fix problems
  exai-mcp ask "What is idempotence?"
  exai-mcp review    review what is uncommitted

Settings come from the environment, and from one file: --env-file or ENV_FILE, else exai-mcp/.env in your configuration
folder, else .env here if it holds a GLM or Kimi key. "exai-mcp config" lists them with where each comes from.

Exit codes: 0 done; 1 done, and it failed (an error result, something that doctor found); 2 wrong arguments or a setting
that is not accepted; 130 cut short by a second signal. "exai-mcp review --help" lists those of review.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q; %s\"exai-mcp --help\" lists the commands, \"exai-mcp call TOOL\" calls a tool",
					args[0], didYouMean(cmd, args[0]))
			}
			return nil
		},
		Version:       thisBuild().version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
	root.PersistentFlags().StringVar(&a.envFile, "env-file", "", "read settings from this file; environment variables override it")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		a.serveCommand(), a.askCommand(), a.reviewCommand(), a.callCommand(), a.toolsCommand(), a.doctorCommand(), a.configCommand(), a.demoCommand(),
		a.installCommand(), a.usageCommand(), a.uiCommand(), a.issuesCommand(), a.conversationsCommand(), a.versionCommand(),
	)
	root.SetVersionTemplate(versionText())
	versioned(root)
	return root
}

// flagError is the error of a command line whose flags can't be parsed. It says what a flag takes, where the parser's own words
// would be those of a Go function.
func flagError(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		accepts := map[string]string{
			"int": "a whole number", "int64": "a whole number", "float64": "a number", "bool": "true or false", "duration": "a duration such as 90s or 5m",
			"intSlice": "whole numbers, comma-separated",
		}[bad.GetFlag().Value.Type()]
		if accepts != "" {
			err = fmt.Errorf("--%s: expected %s, got %q", bad.GetFlag().Name, accepts, bad.GetValue())
		}
	}
	return fmt.Errorf("%w; \"%s --help\" lists the flags", err, cmd.CommandPath())
}

// didYouMean proposes the commands below cmd that a misspelt one was meant for, "" for none.
func didYouMean(cmd *cobra.Command, word string) string {
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	near := typo.Nearest(word, names)
	if len(near) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(near, " or ") + "? "
}

// versioned lets every subcommand take --version, which only the root's help names.
func versioned(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		sub.Version = cmd.Version
		sub.Flags().Bool("version", false, "print the version")
		sub.Flags().Lookup("version").Hidden = true
		versioned(sub)
	}
}

func argumentCount(least, most int) string {
	switch {
	case least != most:
		return fmt.Sprintf("%d to %d arguments", least, most)
	case least == 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", least)
}

// argumentRange checks the number of a command's arguments. Its error shows the command's usage.
func argumentRange(minimum, maximum int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < minimum || len(args) > maximum {
			return fmt.Errorf("expected %s, got %d; usage: %s", argumentCount(minimum, maximum), len(args), cmd.UseLine())
		}
		return nil
	}
}

// load reads the settings.
func (a *app) load() (*config.Config, error) { return a.loadWith(nil) }

// loadWith reads the settings as they are with more of them in the environment, as NAME=value.
func (a *app) loadWith(more []string) (*config.Config, error) {
	dir, err := os.Getwd()
	if err != nil {
		dir = "" // deleted meanwhile: nothing in it counts
	}
	environ := append(slices.Clone(a.environ), more...)
	return config.Load(config.Options{Environ: environ, Dir: dir, EnvFile: a.envFile, NoProjectFile: a.judgesProject, Vendors: a.moreVendors})
}
