package s3test

func parseHold(hold string) (bool, error) {
	switch hold {
	case "ON":
		return true, nil
	case "OFF", "":
		return false, nil
	}
	return false, failuref("InvalidArgument", "Legal Hold must be either of 'ON' or 'OFF'")
}

func (x *exchange) getObjectLegalHold() error {
	v, err := x.lockedVersion()
	if err != nil {
		return err
	}
	status := "OFF"
	if v.LegalHold {
		status = "ON"
	}
	return x.sendXML(newDocument("LegalHold", func(d *document) { d.text("Status", status) }))
}

func (x *exchange) putObjectLegalHold() error {
	if _, err := x.lockedVersion(); err != nil {
		return err
	}
	body, err := x.readDocument()
	if err != nil {
		return err
	}
	var wanted struct{ Status string }
	if err := parseXML(body, "LegalHold", &wanted); err != nil {
		return err
	}
	hold, err := parseHold(wanted.Status)
	if err != nil || wanted.Status == "" {
		return failure("MalformedXML")
	}
	return x.changeLock(func(v *version) error {
		v.LegalHold = hold
		return nil
	})
}
