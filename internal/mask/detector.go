package mask

import "slices"

// detector is the number of a detector, an index into detectors.
type detector uint8

const (
	none detector = iota
	privateKey
	awsKey
	gcpKey
	azureKey
	githubToken
	gitlabToken
	slackToken
	stripeKey
	openaiKey
	anthropicKey
	npmToken
	pypiToken
	twilioKey
	sendgridKey
	digitaloceanToken
	vaultToken
	databricksToken
	telegramToken
	huggingfaceToken
	shopifyToken
	jwt
	connectionString
	authorization
	assignment
	card
	iban
	email
	phone
	usSSN
	ukNINO
	deSteuerID
	frNIR
	esDNI
	itCodiceFiscale
	nlBSN
	plPESEL
	sePersonnummer
	brCPF
	inAadhaar

	detectorCount
)

// The groups of detectors. card, iban, email and phone are groups of one.
const (
	groupSecrets  = "secrets"
	groupNational = "national-id"
)

// The masks.
const (
	// Redact shows a constant that names the detector and nothing of the value.
	Redact = "redact"
	// Last4 shows the last four digits or letters. It leaks those.
	Last4 = "last4"
	// Email shows the first character and the domain. It leaks those.
	Email = "email"
	// Null removes the value.
	Null = "null"
	// Plain shows the value: the detector is off.
	Plain = "plain"
)

// description is what the tables and documents know of a detector.
type description struct {
	name, group string
	extra       string // the mask that suits it besides Redact, Null and Plain
	finds       string // for docs/detectors.md
}

var detectors = [detectorCount]description{
	privateKey:        {"private-key", groupSecrets, "", "PEM private keys of every kind, OpenSSH, PGP and SSH2 blocks up to their END; PuTTY's private lines; age secret keys; key bodies without their BEGIN line where the encoding gives them away"},
	awsKey:            {"aws-key", groupSecrets, "", "AWS access key ids (AKIA, ASIA, …) and secret access keys next to one or under their usual name"},
	gcpKey:            {"gcp-key", groupSecrets, "", "Google API keys (AIza), OAuth client secrets (GOCSPX-) and access tokens (ya29.); service-account keys are private-key"},
	azureKey:          {"azure-key", groupSecrets, "", "AccountKey and SharedAccessKey of connection strings, sig of shared access signatures, secrets of applications (…8Q~…)"},
	githubToken:       {"github-token", groupSecrets, "", "ghp_, gho_, ghu_, ghs_, ghr_, github_pat_"},
	gitlabToken:       {"gitlab-token", groupSecrets, "", "glpat-, gldt-, glrt-, glcbt-, glptt-, glft-, glsoat-, glagent-, GR1348941"},
	slackToken:        {"slack-token", groupSecrets, "", "xoxb-, xoxp-, xoxa-, xoxr-, xoxs-, xoxe-, xapp-"},
	stripeKey:         {"stripe-key", groupSecrets, "", "sk_live_, sk_test_, rk_live_, rk_test_, whsec_"},
	openaiKey:         {"openai-key", groupSecrets, "", "sk- followed by at least 20 characters, sk-proj-, sk-svcacct-, sk-admin-"},
	anthropicKey:      {"anthropic-key", groupSecrets, "", "sk-ant-"},
	npmToken:          {"npm-token", groupSecrets, "", "npm_"},
	pypiToken:         {"pypi-token", groupSecrets, "", "pypi-AgE…"},
	twilioKey:         {"twilio-key", groupSecrets, "", "SK and 32 hexadecimal digits"},
	sendgridKey:       {"sendgrid-key", groupSecrets, "", "SG. and two parts"},
	digitaloceanToken: {"digitalocean-token", groupSecrets, "", "dop_v1_, doo_v1_, dor_v1_"},
	vaultToken:        {"vault-token", groupSecrets, "", "hvs., hvb., hvr."},
	databricksToken:   {"databricks-token", groupSecrets, "", "dapi and 32 hexadecimal digits"},
	telegramToken:     {"telegram-token", groupSecrets, "", "bot tokens: 8 to 10 digits, a colon, 35 characters"},
	huggingfaceToken:  {"huggingface-token", groupSecrets, "", "hf_"},
	shopifyToken:      {"shopify-token", groupSecrets, "", "shpat_, shpca_, shppa_, shpss_"},
	jwt:               {"jwt", groupSecrets, "", "JSON Web Tokens, signed or encrypted: the header must be base64url of a JSON object"},
	connectionString:  {"connection-string", groupSecrets, "", "the password in scheme://user:password@host, in user:password@tcp(host), in libpq, JDBC, ODBC and ADO.NET strings, and in options of mysql, sqlcmd, sshpass and curl"},
	authorization:     {"authorization", groupSecrets, "", "the credentials of an Authorization or Proxy-Authorization header and after Bearer"},
	assignment:        {"assignment", groupSecrets, "", "the value of password, passwd, secret, token, api_key and the like in environment, YAML, JSON, XML, SQL, shell and query form, and of a container's environment (name and value); token and key values must look random"},
	card:              {"card", "card", Last4, "payment cards: known issuer ranges and lengths, Luhn check digit, spaces or hyphens in the usual groups; the first track of a stripe"},
	iban:              {"iban", "iban", Last4, "IBANs: the country's length, ISO 7064 mod 97-10, compact or in groups of four"},
	email:             {"email", "email", Email, "e-mail addresses"},
	phone:             {"phone", "phone", Last4, "telephone numbers: E.164 with or without separators; the usual written forms of North America, the United Kingdom, Germany, France, Australia, Japan and Korea; any form next to a word such as phone"},
	usSSN:             {"us-ssn", groupNational, "", "US social security numbers with hyphens, otherwise next to a word such as ssn; area, group and serial rules"},
	ukNINO:            {"uk-nino", groupNational, "", "UK national insurance numbers in groups, otherwise next to a word such as nino; prefix rules"},
	deSteuerID:        {"de-steuer-id", groupNational, "", "German tax identification numbers in groups, otherwise next to a word; ISO 7064 mod 11,10 and the rule of repeated digits"},
	frNIR:             {"fr-nir", groupNational, "", "French social security numbers; key mod 97, month, Corsica"},
	esDNI:             {"es-dni", groupNational, "", "Spanish DNI and NIE; check letter mod 23"},
	itCodiceFiscale:   {"it-codice-fiscale", groupNational, "", "Italian tax codes; check character, month letters, omocodia"},
	nlBSN:             {"nl-bsn", groupNational, "", "Dutch citizen service numbers in groups, otherwise next to a word; eleven test"},
	plPESEL:           {"pl-pesel", groupNational, "", "Polish PESEL next to a word; check digit and date"},
	sePersonnummer:    {"se-personnummer", groupNational, "", "Swedish personal numbers with a full year of birth before 2000, otherwise next to a word; Luhn and date"},
	brCPF:             {"br-cpf", groupNational, "", "Brazilian CPF with its punctuation, otherwise next to a word; both check digits"},
	inAadhaar:         {"in-aadhaar", groupNational, "", "Indian Aadhaar numbers in groups of four, otherwise next to a word; Verhoeff check digit"},
}

// Names returns the names of the single detectors, in the order of the
// documentation.
func Names() []string {
	var names []string
	for _, d := range detectors[1:] {
		names = append(names, d.name)
	}
	return names
}

// Groups returns the names of the groups: secrets, card, iban, email, phone and
// national-id. Together they hold every detector.
func Groups() []string {
	var groups []string
	for _, d := range detectors[1:] {
		if !slices.Contains(groups, d.group) {
			groups = append(groups, d.group)
		}
	}
	return groups
}

// Known reports whether a label names a detector or a group of them.
func Known(label string) bool { return len(named(label)) > 0 }

// Masks returns the masks that suit every detector that a label names; none for
// a label that names no detector.
func Masks(label string) []string {
	all := named(label)
	if len(all) == 0 {
		return nil
	}
	masks := []string{Redact, Null, Plain}
	extra := detectors[all[0]].extra
	for _, d := range all[1:] {
		if detectors[d].extra != extra {
			extra = ""
		}
	}
	if extra != "" {
		masks = slices.Insert(masks, 1, extra)
	}
	return masks
}

// named returns the detectors that a label names.
func named(label string) []detector {
	var found []detector
	for d := none + 1; d < detectorCount; d++ {
		if detectors[d].name == label || detectors[d].group == label {
			found = append(found, d)
		}
	}
	return found
}
