package behaviour

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"time"
)

// Bootstrap is the address of the broker under test.
var Bootstrap = os.Getenv("BOOTSTRAP")

const checkSecondsMax = 120

type check struct {
	name string
	run  func()
}

// failure is what a failed expectation panics with: the checks read as sentences, and a check ends at its first failure.
type failure string

func expect(holds bool, format string, arguments ...any) {
	if !holds {
		panic(failure(fmt.Sprintf(format, arguments...)))
	}
}

func must(err error) {
	if err != nil {
		panic(failure(err.Error()))
	}
}

func need[T any](value T, err error) T {
	must(err)
	return value
}

func expectCode(client Client, err error, code int16) {
	expect(err != nil, "no error, expected code %d", code)
	expect(client.ErrorCode(err) == code, "expected code %d, not: %v", code, err)
}

func eventually(what string, condition func() bool) {
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		expect(time.Now().Before(deadline), "not within 30 s: %s", what)
		time.Sleep(50 * time.Millisecond)
	}
}

// unique gives a name of this run only.
func unique(name string) string {
	return fmt.Sprintf("%s-%d", name, os.Getpid())
}

func killAndRestartBroker() {
	answer := need(http.Post(os.Getenv("CONTROL")+"/kill-and-restart", "", nil))
	answer.Body.Close()
	expect(answer.StatusCode == http.StatusOK, "the harness answers %s", answer.Status)
}

func leftOut(name string) bool {
	for _, pattern := range strings.Split(os.Getenv("NOT_RUN"), ",") {
		if matches, _ := path.Match(pattern, name); matches {
			return true
		}
	}
	return false
}

// runAll prints one line a check, as ../../harness/results.py reads them.
func runAll(checks []check) {
	failed := false
	for _, check := range checks {
		if leftOut(check.name) {
			fmt.Printf("ok - %s # SKIP left out by the table\n", check.name)
			continue
		}
		hangs := time.AfterFunc(checkSecondsMax*time.Second, func() {
			debug.SetTraceback("all")
			panic(check.name + " hangs")
		})
		if reason := outcome(check); reason != "" {
			failed = true
			fmt.Printf("not ok - %s: %s\n", check.name, reason)
		} else {
			fmt.Printf("ok - %s\n", check.name)
		}
		hangs.Stop()
	}
	fmt.Println("all checks done")
	if failed {
		os.Exit(1)
	}
}

func outcome(check check) (reason string) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case failure:
			reason = strings.Join(strings.Fields(string(cause)), " ")
			reason = reason[:min(len(reason), 300)]
		default:
			panic(cause)
		}
	}()
	check.run()
	return ""
}

// Check is one of a program that has checks of its own; RunChecks runs them.
func Check(name string, run func()) check { return check{name, run} }

func RunChecks(checks ...check) { runAll(checks) }

func Expect(holds bool, format string, arguments ...any) { expect(holds, format, arguments...) }

func Need[T any](value T, err error) T { return need(value, err) }

func Must(err error) { must(err) }

func Eventually(what string, condition func() bool) { eventually(what, condition) }

func Unique(name string) string { return unique(name) }
