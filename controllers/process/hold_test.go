// Copyright The ssm-remediator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/ssm-remediator/ssm-remediator/api/v1alpha1"
)

const holdFile = "/run/ssm-remediator/hold"

func TestHoldFiles(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.start("webserver", n.program("webserver"), "1000")
		n.sh("mount -t tmpfs tmpfs /etc && mkdir /etc/ssm-remediator")
		for _, path := range []string{
			holdFile, "/etc/ssm-remediator/hold", holdFile + ".web.httpd", "/etc/ssm-remediator/hold.web.httpd",
		} {
			n.write(path, "")
			v := n.probe(byName("webserver"))
			n.Expect(v.Health).To(Equal(v1alpha1.HealthHeld), "%s, also while the process runs", path)
			n.Expect(v.Reason).To(Equal(ReasonHoldFile))
			n.Expect(v.Message).To(HavePrefix("held by " + path + "; warning: "))
			n.Expect(v.Message).To(ContainSubstring("24 hours"))
			n.Expect(os.Remove(n.Path(path))).To(Succeed())
		}
		n.write(holdFile+".web.other", "")
		n.write(holdFile+".other.httpd", "")
		n.Expect(n.probe(byName("webserver")).Health).To(Equal(v1alpha1.HealthHealthy), "holds of other policies")
	})
}

func TestHoldFileExpires(t *testing.T) {
	now := time.Date(2028, 2, 29, 23, 59, 30, 0, time.UTC)
	tests := map[string]struct {
		content string
		age     time.Duration
		held    bool
		message string
	}{
		"empty, new":             {"", 0, true, "in 24 hours"},
		"empty, almost a day":    {"", 24*time.Hour - time.Second, true, "in 1 hours"},
		"empty, a day":           {"", 24 * time.Hour, false, ""},
		"from the future":        {"", -time.Hour, true, "in 25 hours"},
		"to come":                {"2028-03-01T00:00:00Z\n", 48 * time.Hour, true, "until 2028-03-01T00:00:00Z"},
		"now":                    {"2028-02-29T23:59:30Z\n", 0, false, ""},
		"a second to come":       {"2028-02-29T23:59:31Z", 0, true, "until"},
		"passed":                 {"2028-02-29T23:59:29Z\n", 0, false, ""},
		"passed long ago":        {"1999-12-31T23:59:59Z", 0, false, ""},
		"far away":               {"2400-02-29T00:00:00Z", 48 * time.Hour, true, "until"},
		"ahead, to come":         {"2028-03-01T05:29:31+05:30", 0, true, "until"},
		"ahead, passed":          {"2028-03-01T05:29:30+05:30", 0, false, ""},
		"behind, to come":        {"2028-02-29T14:59:31-09:00", 0, true, "until"},
		"behind, passed":         {"2028-02-29T14:59:30-09:00", 0, false, ""},
		"fraction":               {"2028-02-29T23:59:31.999999Z", 0, true, "until"},
		"lower case":             {"2028-02-29t23:59:31z", 0, true, "until"},
		"with a blank":           {"2028-02-29 23:59:31Z  ", 0, true, "until"},
		"Windows":                {"2028-02-29T23:59:29Z\r\n", 0, false, ""},
		"eights and nines":       {"2028-08-09T08:09:08+08:09", 48 * time.Hour, true, "until"},
		"no zone is no time":     {"2028-02-29T23:59:29", 0, true, "warning"},
		"month 13 is no time":    {"2028-13-01T00:00:00Z", 0, true, "warning"},
		"words":                  {"Ada works on it\n", 0, true, "warning"},
		"words, after a day":     {"Ada works on it\n", 25 * time.Hour, false, ""},
		"hostile":                {"2028-02-29T23:59:29Z$(touch /run/owned)", 0, true, "warning"},
		"hostile in a number":    {"2028-a[-01T00:00:00Z", 0, true, "warning"},
		"binary, after two days": {"\x00\x01\xff", 48 * time.Hour, false, ""},
	}
	underEachShell(t, func(n *node) {
		n.standIn("date", "echo "+epoch(now))
		for name, test := range tests {
			n.write(holdFile, test.content)
			written := now.Add(-test.age)
			n.Expect(os.Chtimes(n.Path(holdFile), written, written)).To(Succeed())
			v := n.probe(byName("webserver"))
			if test.held {
				n.Expect(v.Health).To(Equal(v1alpha1.HealthHeld), name)
				n.Expect(v.Message).To(ContainSubstring(test.message), name)
			} else {
				n.Expect(v.Health).To(Equal(v1alpha1.HealthUnhealthy), "%s: %s", name, v.Message)
			}
		}
		n.Expect(n.exists("/run/owned")).To(BeFalse())
	})
}

// TestHoldFileTimes compares the arithmetic of the shell with that of Go over leap years and ends of months.
func TestHoldFileTimes(t *testing.T) {
	underEachShell(t, func(n *node) {
		zone := time.FixedZone("", -(3*3600 + 30*60))
		for at := time.Date(1999, 12, 31, 23, 59, 59, 0, zone); at.Year() < 2105; at = at.AddDate(3, 1, 27) {
			n.standIn("date", "echo "+epoch(at.Add(-time.Second)))
			n.write(holdFile, at.Format(time.RFC3339))
			n.Expect(os.Chtimes(n.Path(holdFile), at.AddDate(-9, 0, 0), at.AddDate(-9, 0, 0))).To(Succeed())
			n.Expect(n.probe(byName("webserver")).Health).To(Equal(v1alpha1.HealthHeld), at.String())
			n.standIn("date", "echo "+epoch(at))
			n.Expect(n.probe(byName("webserver")).Health).To(Equal(v1alpha1.HealthUnhealthy), at.String())
		}
	})
}

func TestHoldFileThatLeadsNowhereHolds(t *testing.T) {
	underEachShell(t, func(n *node) {
		n.sh("ln -s /nowhere " + holdFile)
		v := n.probe(byName("webserver"))
		n.Expect(v.Health).To(Equal(v1alpha1.HealthHeld))
		n.Expect(v.Message).To(Equal("held by " + holdFile))
	})
}
