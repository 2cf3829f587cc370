package cli

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

func sessionCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "session",
		Short: "See who is signed in, and end that",
		Long: `People who sign in by an identity provider, and programs that an issuer vouches for, have sessions: tokens that end by
themselves. Ended here, a session is over at once: for the API, for pages, and for streams that are open.`,
		Example: "  ringfence session list\n  ringfence session end ann@example.com",
	})
	list := &cobra.Command{
		Use: "list", Short: "List who is signed in, people and programs", Example: "  ringfence session list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]wire.Token, error) { return c.Sessions(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, t := range all {
					rows[i] = []string{t.Name, string(t.Role), t.ID, t.Via, t.From, ago(t.Created), endOf(t.Expires)}
				}
				table(w, []string{"NAME", "ROLE", "ID", "VIA", "FROM", "SINCE", "ENDS"}, rows)
			})
		},
	}
	end := &cobra.Command{
		Use: "end NAME|ID", Short: "End a session, or all of a name, at once", Example: "  ringfence session end ann@example.com", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			gone, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]wire.Token, error) { return c.EndSessions(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, gone, func(w io.Writer) {
				for _, t := range gone {
					fmt.Fprintf(w, "session of %s (%s) ended\n", t.Name, t.ID)
				}
			})
		},
	}
	forget := &cobra.Command{
		Use: "forget NAME", Short: "End somebody's sessions, and free their name for another account",
		Long:    "A name belongs to the account at the identity provider that used it first. This frees it, as when somebody's account was made anew.",
		Example: "  ringfence session forget ann@example.com", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (struct{}, error) {
				return struct{}{}, c.ForgetPerson(ctx, args[0])
			})
			if err != nil {
				return err
			}
			return e.show(cmd, map[string]string{"forgotten": args[0]}, func(w io.Writer) { fmt.Fprintf(w, "%s is free\n", args[0]) })
		},
	}
	cmd.AddCommand(list, end, forget)
	return cmd
}

func tokenExchange(e *env) *cobra.Command {
	var file, program string
	cmd := &cobra.Command{
		Use:   "exchange",
		Short: "Get a token of a few minutes for one of an issuer, as a job of a pipeline",
		Long: `Reads a token of an issuer (a JWT) from standard input and prints one of Ringfence's, which ends within minutes, so that a
pipeline needs no secret that lives long. Which issuers, and which of their programs, is declared as an IdentityProvider.`,
		Example: `  curl -sS -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=ringfence" | jq -r .value | ringfence token exchange
  ringfence token exchange --file job.jwt --program deploy`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in := cmd.InOrStdin()
			if file != "" {
				f, err := os.Open(file)
				if err != nil {
					return errs.Wrap(errs.Invalid, err, "--file")
				}
				defer f.Close()
				in = f
			}
			raw, err := io.ReadAll(io.LimitReader(in, 64<<10))
			if err != nil {
				return err
			}
			c, err := e.anonymous()
			if err != nil {
				return err
			}
			got, err := c.Exchange(cmd.Context(), strings.TrimSpace(string(raw)), program)
			if err != nil {
				return err
			}
			if !e.json {
				fmt.Fprintf(cmd.ErrOrStderr(), "token of %s, role %s, for %d s; it is shown this once\n", got.Name, got.Role, got.Seconds)
			}
			return e.show(cmd, got, func(w io.Writer) { fmt.Fprintln(w, got.AccessToken) })
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "file with the issuer's token (default standard input)")
	cmd.Flags().StringVar(&program, "program", "", "which program, where the token fits several")
	return cmd
}

func loginCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "login",
		Short: "Keep a token that a page made for the command line",
		Long: `Reads a token from the terminal, without showing it, or from standard input, checks it, and keeps it for this server in a file
of the data folder that only its owner reads. Where people sign in by an identity provider, the page /account makes such a token; it ends by
itself within hours.`,
		Example: "  ringfence login --server https://ringfence.example.com",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.anonymous()
			if err != nil {
				return err
			}
			token, err := readSecret(cmd, fmt.Sprintf("Make a token at %s/account and paste it here: ", c.URL()))
			if err != nil {
				return err
			}
			who, err := c.As(token).WhoAmI(cmd.Context())
			if err != nil {
				return err
			}
			if err := access.KeepToken(e.kept(c.URL()), token); err != nil {
				return err
			}
			return e.show(cmd, who, func(w io.Writer) { fmt.Fprintf(w, "signed in as %s, role %s\n", who.Name, who.Role) })
		},
	}
}

func logoutCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Throw away the token that login kept", Example: "  ringfence logout", Args: cobra.NoArgs,
		Long: "Removes the file in which login kept the token for this server. The token itself ends by its time, or by: ringfence session end",
		RunE: func(cmd *cobra.Command, _ []string) error {
			u, _, err := e.address()
			if err != nil {
				return err
			}
			if err := os.Remove(e.kept(u.String())); errors.Is(err, fs.ErrNotExist) {
				return errs.E(errs.Missing, "nobody is signed in to %s by login", u)
			} else if err != nil {
				return errs.Wrap(errs.Unavailable, err, "cannot sign out")
			}
			return e.show(cmd, map[string]string{"server": u.String()}, func(w io.Writer) { fmt.Fprintf(w, "signed out of %s\n", u) })
		},
	}
}

// readSecret reads a line that a terminal does not show.
func readSecret(cmd *cobra.Command, prompt string) (string, error) {
	if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return strings.TrimSpace(string(b)), err
	}
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1024)).ReadString('\n')
	if err == io.EOF {
		err = nil
	}
	return strings.TrimSpace(line), err
}

// kept is the file of a server's token.
func (e *env) kept(server string) string {
	at := server
	if u, err := url.Parse(server); err == nil {
		at = u.Scheme + "://" + u.Host
	}
	sum := sha256.Sum256([]byte(at))
	return filepath.Join(e.data, "login", hex.EncodeToString(sum[:8])+".token")
}
