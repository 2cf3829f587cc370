// Command ringfence takes changes to production one ring of users at a time.
package main

import (
	"os"
	_ "time/tzdata" // freezes and hours have time zones, also where the system has none

	"github.com/ringfence/ringfence/internal/app"
	"github.com/ringfence/ringfence/internal/cli"
)

func main() { os.Exit(cli.Main(app.Commands()...)) }
