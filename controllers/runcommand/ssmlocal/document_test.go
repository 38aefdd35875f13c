// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package ssmlocal_test

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/controllers/runcommand/ssmlocal"
)

// restart is a document of two versions; the second, which is not the default, has a step and parameters more.
func restart() ssmlocal.Document {
	stop := ssmlocal.Step{Name: "stop", Script: "stop {{Service}} {{ Flags }}", TimeoutSeconds: "{{ Timeout }}"}
	start := ssmlocal.Step{Name: "start", Script: "{{ Start }}", WorkingDirectory: "/srv/{{ Service }}", TimeoutSeconds: "20"}
	parameters := []ssmlocal.Parameter{
		{Name: "Service", AllowedPattern: "^[a-z]+$"},
		{Name: "Flags", Type: ssmlocal.StringList, Default: []string{}},
		{Name: "Start", Type: ssmlocal.StringList, Default: []string{"start"}},
		{Name: "Timeout", Default: []string{"10"}},
	}
	return ssmlocal.Document{Name: "Restart", Versions: []ssmlocal.DocumentVersion{
		{Parameters: parameters[:1], Steps: []ssmlocal.Step{{Name: "restart", Script: "restart {{ Service }}"}}},
		{Parameters: parameters, Steps: []ssmlocal.Step{stop, start}},
	}}
}

// of is a SendCommand of a version of the document.
func of(version string, parameters map[string][]string) *ssm.SendCommandInput {
	all := map[string][]string{"Service": {"httpd"}}
	maps.Copy(all, parameters)
	return &ssm.SendCommandInput{
		DocumentName: aws.String("Restart"), DocumentVersion: aws.String(version), InstanceIds: []string{nodeA}, Parameters: all,
	}
}

// plugins are `name Status/StatusDetails ResponseCode` of the steps of an invocation.
func (w *world) plugins(commandID string) []string {
	w.t.Helper()
	out, err := w.client.ListCommandInvocations(w.t.Context(), &ssm.ListCommandInvocationsInput{CommandId: &commandID, Details: true})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(out.CommandInvocations).To(HaveLen(1))
	var list []string
	for _, p := range out.CommandInvocations[0].CommandPlugins {
		list = append(list, fmt.Sprintf("%s %s/%s %d", *p.Name, p.Status, *p.StatusDetails, p.ResponseCode))
	}
	return list
}

func TestVersionsAndParametersOfADocument(t *testing.T) {
	quoted := []string{`-v`, `"<now>"`}
	tests := map[string]struct {
		version    string
		parameters map[string][]string
		want       []string
	}{
		"default":      {"$DEFAULT", nil, []string{"restart httpd"}},
		"number":       {"1", nil, []string{"restart httpd"}},
		"latest":       {"$LATEST", nil, []string{"stop httpd []", "start"}},
		"list in text": {"2", map[string][]string{"Flags": quoted}, []string{`stop httpd ["-v","\"\u003cnow\u003e\""]`, "start"}},
		"list by itself": {"2", map[string][]string{"Start": {"cd /", "start {{ Service }}"}},
			[]string{"stop httpd []", "cd /\nstart {{ Service }}"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var got []string
			w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
				got = append(got, e.Script)
				return ssmlocal.Outcome{}
			}))
			w.Expect(w.server.AddDocument(restart())).To(Succeed())
			id := w.send(of(tt.version, tt.parameters))
			w.Expect(got).To(Equal(tt.want))
			w.Expect(w.state(id)).To(Equal("Success/Success 1 1 0 0"))
		})
	}
}

func TestExecutionTellsTheDocument(t *testing.T) {
	w := newWorld(t)
	var got []ssmlocal.Execution
	w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
		got = append(got, e)
		return ssmlocal.Outcome{Delay: time.Second}
	}), func(i *ssmlocal.Instance) { i.ClockSkew = -time.Minute })
	w.Expect(w.server.AddDocument(restart())).To(Succeed())
	in, start := of("2", nil), w.clock.Now()
	in.DocumentName, in.Comment = aws.String("arn:aws:ssm:eu-central-1:210987654321:document/Restart"), aws.String("uid/Run")
	in.OutputS3BucketName, in.OutputS3KeyPrefix = aws.String("bucket"), aws.String("prefix")
	id := w.send(in)
	w.server.SetClockSkew(nodeA, time.Hour)
	w.clock.Step(2 * time.Second)
	entries := w.server.Ledger()
	parameters := map[string][]string{"Service": {"httpd"}, "Flags": {}, "Start": {"start"}, "Timeout": {"10"}}
	w.Expect(got).To(Equal([]ssmlocal.Execution{
		{
			CommandID: id, InstanceID: nodeA, Comment: "uid/Run", DocumentName: "Restart", Parameters: parameters,
			Step: "stop", Script: "stop httpd []", Timeout: 10 * time.Second,
			Start: start, NodeTime: start.Add(-time.Minute), Kind: ssmlocal.Run,
		},
		{
			CommandID: id, InstanceID: nodeA, Comment: "uid/Run", DocumentName: "Restart", Parameters: parameters,
			Step: "start", StepIndex: 1, Script: "start", WorkingDirectory: "/srv/httpd", Timeout: 20 * time.Second,
			Start: start.Add(time.Second), NodeTime: start.Add(time.Second + time.Hour), Kind: ssmlocal.Run,
		},
	}))
	w.Expect(entries).To(Equal([]ssmlocal.Entry{{
		InstanceID: nodeA, CommandID: id, Comment: "uid/Run", DocumentName: "Restart", Kind: ssmlocal.Run,
		S3Bucket: "bucket", S3KeyPrefix: "prefix", Start: start, End: start.Add(2 * time.Second),
	}}), "one execution, however many steps")
	w.Expect(w.command(id).ExpiresAfter.Sub(start)).To(Equal(time.Hour + 30*time.Second))
}

func TestResultsOfSteps(t *testing.T) {
	type outcomes = map[string]ssmlocal.Outcome
	const skipped = "start Success/Success 0"
	tests := map[string]struct {
		outcomes outcomes
		state    string
		plugins  []string
		ran      int
		code     int
	}{
		"success": {
			outcomes{}, "Success/Success 1 1 0 0", []string{"stop Success/Success 0", "start Success/Success 0"}, 2, 0,
		},
		"a failure does not stop the rest": {
			outcomes{"stop": {ExitCode: 3}}, "Failed/Failed 1 1 1 0", []string{"stop Failed/Failed 3", "start Success/Success 0"}, 2, 3,
		},
		"a failure outweighs a time-out": {
			outcomes{"stop": {Delay: time.Hour}, "start": {ExitCode: 4}}, "Failed/Failed 1 1 1 0",
			[]string{"stop TimedOut/ExecutionTimedOut 137", "start Failed/Failed 4"}, 2, 137,
		},
		"time-out": {
			outcomes{"stop": {Delay: time.Hour}}, "TimedOut/ExecutionTimedOut 1 1 1 0",
			[]string{"stop TimedOut/ExecutionTimedOut 137", "start Success/Success 0"}, 2, 137,
		},
		"exit 168 skips the rest": {
			outcomes{"stop": {ExitCode: 168}}, "Success/Success 1 1 0 0", []string{"stop Success/Success 168", skipped}, 1, 0,
		},
		"exit 169 skips the rest": {
			outcomes{"stop": {ExitCode: 169}}, "Failed/Failed 1 1 1 0", []string{"stop Failed/Failed 169", skipped}, 1, 169,
		},
		"the agent dies in the second": {
			outcomes{"start": {NoAnswer: true}}, "TimedOut/ExecutionTimedOut 1 1 1 0",
			[]string{"stop Success/Success 0", "start TimedOut/ExecutionTimedOut -1"}, 2, 0,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ran := 0
			w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
				ran++
				return tt.outcomes[e.Step]
			}))
			w.Expect(w.server.AddDocument(restart())).To(Succeed())
			id := w.send(of("2", nil))
			w.clock.Step(2 * time.Hour)
			w.Expect(w.state(id)).To(Equal(tt.state))
			w.Expect(w.plugins(id)).To(Equal(tt.plugins))
			w.Expect(ran).To(Equal(tt.ran))
			w.Expect(w.server.Ledger()).To(HaveLen(1))
			w.Expect(w.server.Ledger()[0].ExitCode).To(Equal(tt.code))
		})
	}
}

func TestStepsAreToldOneByOne(t *testing.T) {
	w := newWorld(t)
	w.add(nodeA, outcome(ssmlocal.Outcome{Delay: 5 * time.Second, Stdout: "done", ExitCode: 2}))
	w.Expect(w.server.AddDocument(restart())).To(Succeed())
	id := w.send(of("2", nil))
	w.Expect(w.plugins(id)).To(Equal([]string{"stop InProgress/InProgress -1", "start Pending/Pending -1"}))
	w.clock.Step(5 * time.Second)
	w.Expect(w.plugins(id)).To(Equal([]string{"stop Failed/Failed 2", "start InProgress/InProgress -1"}))
	w.Expect(w.state(id)).To(Equal("InProgress/InProgress 1 0 0 0"), "it has not failed before its end")

	get := func(step *string) (*ssm.GetCommandInvocationOutput, error) {
		return w.client.GetCommandInvocation(t.Context(),
			&ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: aws.String(nodeA), PluginName: step})
	}
	all, err := get(nil)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(summary(all)).To(Equal("InProgress/InProgress -1"))
	w.Expect(*all.PluginName+*all.StandardOutputContent+*all.ExecutionStartDateTime).To(BeEmpty(), "no details of several steps")
	stop, err := get(aws.String("stop"))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(summary(stop)).To(Equal("Failed/Failed 2"))
	w.Expect(*stop.StandardOutputContent).To(Equal("done"))
	w.Expect(*stop.ExecutionElapsedTime).To(Equal("PT5S"))
	_, err = get(aws.String("aws:runShellScript"))
	w.Expect(err).To(haveCode("InvalidPluginName", ""))
}

func TestCancelOfADocument(t *testing.T) {
	w := newWorld(t)
	var killed time.Time
	w.add(nodeA, outcome(ssmlocal.Outcome{Delay: 5 * time.Second, Killed: func(at time.Time) { killed = at }}))
	w.Expect(w.server.AddDocument(restart())).To(Succeed())
	id := w.send(of("2", nil))
	w.clock.Step(time.Second)
	w.cancel(id)
	w.Expect(killed).To(Equal(w.clock.Now()))
	w.clock.Step(time.Minute)
	w.Expect(w.plugins(id)).To(Equal([]string{"stop Cancelled/Cancelled 137", "start Cancelled/Cancelled 1"}))
	w.Expect(w.state(id)).To(Equal("Cancelled/Cancelled 1 1 0 0"))
}

func TestRebootOfADocumentRunsItsStepAgain(t *testing.T) {
	w := newWorld(t)
	var ran []string
	w.add(nodeA, ssmlocal.Scripted(func(e ssmlocal.Execution) ssmlocal.Outcome {
		ran = append(ran, e.Step+" "+string(e.Kind))
		if e.Step == "start" && e.Kind == ssmlocal.Run {
			return ssmlocal.Outcome{ExitCode: 194}
		}
		return ssmlocal.Outcome{}
	}))
	w.Expect(w.server.AddDocument(restart())).To(Succeed())
	id := w.send(of("2", nil))
	w.Expect(w.state(id)).To(HavePrefix("Success"))
	w.Expect(ran).To(Equal([]string{"stop Run", "start Run", "start Rerun"}))
	w.Expect(kinds(w.server.Ledger())).To(Equal([]ssmlocal.Kind{ssmlocal.Run, ssmlocal.Rerun}))
}

func TestDocumentIsRefused(t *testing.T) {
	tests := map[string]struct {
		change  func(*ssm.SendCommandInput)
		code    string
		message string
	}{
		"unknown": {
			func(in *ssm.SendCommandInput) { in.DocumentName = aws.String("Other") },
			"InvalidDocument", "Document with name Other does not exist.",
		},
		"version": {func(in *ssm.SendCommandInput) { in.DocumentVersion = aws.String("3") }, "InvalidDocumentVersion", "version 3"},
		"version without end": {
			func(in *ssm.SendCommandInput) { in.DocumentVersion = aws.String(times("9", 30)) }, "InvalidDocumentVersion", "9",
		},
		"missing":       {func(in *ssm.SendCommandInput) { in.Parameters = nil }, "InvalidParameters", "Missing required parameter: Service."},
		"undefined":     {func(in *ssm.SendCommandInput) { in.Parameters["service"] = []string{"x"} }, "InvalidParameters", "service is not defined"},
		"pattern":       {func(in *ssm.SendCommandInput) { in.Parameters["Service"] = []string{"a;b"} }, "InvalidParameters", "Service failed to satisfy"},
		"several":       {func(in *ssm.SendCommandInput) { in.Parameters["Service"] = []string{"a", "b"} }, "InvalidParameters", "Service takes one value"},
		"of no version": {func(in *ssm.SendCommandInput) { in.DocumentVersion = aws.String("1") }, "InvalidParameters", "Flags is not defined"},
		"Parameter Store": {
			func(in *ssm.SendCommandInput) { in.Parameters["Start"] = []string{"start {{ ssm:name }}"} }, "InvalidParameters", "{{ ssm:name }}",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add(nodeA, exits(0))
			w.Expect(w.server.AddDocument(restart())).To(Succeed())
			in := of("2", map[string][]string{"Flags": {"-v"}})
			tt.change(in)
			_, err := w.client.SendCommand(t.Context(), in)
			w.Expect(err).To(haveCode(tt.code, tt.message))
			w.Expect(w.server.Ledger()).To(BeEmpty())
		})
	}
}

func TestAddDocumentRefuses(t *testing.T) {
	w := newWorld(t)
	one := func(step ssmlocal.Step, parameters ...ssmlocal.Parameter) ssmlocal.Document {
		return ssmlocal.Document{Name: "New", Versions: []ssmlocal.DocumentVersion{{Parameters: parameters, Steps: []ssmlocal.Step{step}}}}
	}
	step := ssmlocal.Step{Name: "run", Script: "true"}
	twice := one(step)
	twice.Versions[0].Steps = []ssmlocal.Step{step, step}
	for name, tt := range map[string]struct {
		d    ssmlocal.Document
		want string
	}{
		"form of the name":    {ssmlocal.Document{Name: "a b"}, "must match"},
		"taken":               {ssmlocal.Document{Name: ssmlocal.RunShellScript, Versions: one(step).Versions}, "taken"},
		"no version":          {ssmlocal.Document{Name: "New"}, "no version 1"},
		"default":             {ssmlocal.Document{Name: "New", Versions: one(step).Versions, DefaultVersion: 2}, "no version 2"},
		"no steps":            {ssmlocal.Document{Name: "New", Versions: []ssmlocal.DocumentVersion{{}}}, "no steps"},
		"step without a name": {one(ssmlocal.Step{Script: "true"}), "name of its own"},
		"repeated step":       {twice, "name of its own"},
		"reference":           {one(ssmlocal.Step{Name: "run", Script: "echo {{ Name }}"}), "parameter Name, which is not defined"},
		"Parameter Store":     {one(ssmlocal.Step{Name: "run", Script: "echo {{ssm:name}}"}), "no Parameter Store"},
		"form of a parameter": {one(step, ssmlocal.Parameter{Name: "a b"}), "must match"},
		"type":                {one(step, ssmlocal.Parameter{Name: "a", Type: "Boolean"}), "a is of type Boolean"},
		"two defaults":        {one(step, ssmlocal.Parameter{Name: "a", Default: []string{"1", "2"}}), "one value as its default"},
		"no value as default": {one(step, ssmlocal.Parameter{Name: "a", Default: []string{}}), "one value as its default"},
		"pattern":             {one(step, ssmlocal.Parameter{Name: "a", AllowedPattern: "("}), "pattern of the parameter a"},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(w.server.AddDocument(tt.d)).To(MatchError(ContainSubstring(tt.want)))
		})
	}
}

func TestLocalDocument(t *testing.T) {
	n := newNode(t)
	n.Expect(n.server.AddDocument(ssmlocal.Document{Name: "Restart", Versions: []ssmlocal.DocumentVersion{{
		Parameters: []ssmlocal.Parameter{{Name: "Service"}},
		Steps: []ssmlocal.Step{
			{Name: "stop", Script: "echo stop {{ Service }}; exit 3"},
			{Name: "start", Script: "echo start {{ Service }}; pwd; echo \"$0\"", WorkingDirectory: "/usr"},
		},
	}}})).To(Succeed())
	id := n.send(of("$DEFAULT", nil))
	n.idle()
	n.Expect(n.plugins(id)).To(Equal([]string{"stop Failed/Failed 3", "start Success/Success 0"}))
	start, err := n.client.GetCommandInvocation(t.Context(),
		&ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: aws.String(nodeA), PluginName: aws.String("start")})
	n.Expect(err).NotTo(HaveOccurred())
	lines := strings.Fields(*start.StandardOutputContent)
	n.Expect(lines).To(Equal([]string{
		"start", "httpd", "/usr", "/var/lib/amazon/ssm/" + nodeA + "/document/orchestration/" + id + "/start/_script.sh",
	}))
	entries, err := os.ReadDir(n.machine.Path("/var/lib/amazon/ssm/" + nodeA + "/document/orchestration"))
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(entries).To(HaveLen(1), "one directory for each command")
}
