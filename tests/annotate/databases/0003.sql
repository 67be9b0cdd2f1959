BEGIN TRANSACTION;
CREATE TABLE adjudications (
	unit_id INTEGER NOT NULL, 
	label VARCHAR(8) NOT NULL, 
	reason VARCHAR(500) NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_adjudications PRIMARY KEY (unit_id), 
	CONSTRAINT fk_adjudications_unit_id FOREIGN KEY(unit_id) REFERENCES units (id)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE choices (
	id INTEGER NOT NULL, 
	rater_id INTEGER NOT NULL, 
	opening_id VARCHAR(200) NOT NULL, 
	best INTEGER, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_choices PRIMARY KEY (id), 
	CONSTRAINT fk_choices_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id), 
	CONSTRAINT uq_choices_rater_id UNIQUE (rater_id, opening_id)
);
CREATE TABLE decisions (
	id INTEGER NOT NULL, 
	draft_id INTEGER NOT NULL, 
	rater_id INTEGER NOT NULL, 
	decision VARCHAR(16) NOT NULL, 
	edited JSON, 
	reason VARCHAR(500) NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_decisions PRIMARY KEY (id), 
	CONSTRAINT fk_decisions_draft_id FOREIGN KEY(draft_id) REFERENCES drafts (id), 
	CONSTRAINT fk_decisions_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id), 
	CONSTRAINT uq_decisions_draft_id UNIQUE (draft_id, rater_id)
);
CREATE TABLE drafts (
	id INTEGER NOT NULL, 
	token VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	text_id VARCHAR(300) NOT NULL, 
	grp VARCHAR(32) NOT NULL, 
	rater_id INTEGER, 
	rank INTEGER NOT NULL, 
	content JSON NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	outcome JSON, 
	version INTEGER NOT NULL, 
	changed_at FLOAT NOT NULL, 
	CONSTRAINT pk_drafts PRIMARY KEY (id), 
	CONSTRAINT fk_drafts_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id), 
	CONSTRAINT uq_drafts_text_id UNIQUE (text_id), 
	CONSTRAINT uq_drafts_token UNIQUE (token)
);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	"key" VARCHAR(80) NOT NULL, 
	kind VARCHAR(24) NOT NULL, 
	at FLOAT NOT NULL, 
	rater_id INTEGER, 
	showing_id INTEGER, 
	payload JSON NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (id), 
	CONSTRAINT fk_events_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id), 
	CONSTRAINT fk_events_showing_id FOREIGN KEY(showing_id) REFERENCES showings (id), 
	CONSTRAINT uq_events_key UNIQUE ("key")
);
INSERT INTO "events" VALUES(1,'0122aa4e04bc8cc7339412d8112a24a1','invite',1800000000.0,NULL,NULL,'{"group": "crowd", "rater_id": null}');
INSERT INTO "events" VALUES(2,'4a0de824e45b7abc4ab5908197c8371c','join',1800000000.0,1,NULL,'{"name": "crowd:01"}');
INSERT INTO "events" VALUES(3,'answer:E2Fsq20s5dvU1K82KOpQpGqhLDWQuNrElGI__-mG0dg:0','answer',1800000007.25,1,1,'{"answer": {"pairwise": "b"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(4,'answer:-s50hpYrNTKHfnITqylaWuAO-tNDDrwFYauhZcw2m_Q:0','answer',1800000014.5,1,2,'{"answer": {"pairwise": "a"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(5,'answer:MRh62xFfnI-ySJfvmUMhf25TOP7OQC460Kxhp8Jl2Xw:0','answer',1800000021.75,1,3,'{"answer": {"pairwise": "tie"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(6,'answer:p1eAnzkvxrYfB8OP3QW7VNgTE0ill5h5CoYyo6oDIaI:0','answer',1800000029.0,1,4,'{"answer": {"pairwise": "a"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(7,'ceccc3054294b180883f3dec4f5e120f','invite',1800000029.0,NULL,NULL,'{"group": "crowd", "rater_id": null}');
INSERT INTO "events" VALUES(8,'9a536f16dbf4f25bb68c9f0393108e53','join',1800000029.0,2,NULL,'{"name": "crowd:02"}');
INSERT INTO "events" VALUES(9,'answer:-CvAIybe5OD2D9PG-GppsjN8zDplO2n-YetpGSOMtyE:0','answer',1800000036.25,2,5,'{"answer": {"pairwise": "a"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(10,'answer:D683BS4K0Q2p_cv5kfi7vUr0y8_I92PtE-JVFSIV2mE:0','answer',1800000043.5,2,6,'{"answer": {"pairwise": "tie"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(11,'answer:mTWQdq1-zp3sqpXhuoGCzv5feV_1IKM6epwUR-JAZOM:0','answer',1800000050.75,2,7,'{"answer": {"pairwise": "tie"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(12,'d37ecaa7be9a9367aaf8ae268ae3c5a1','invite',1800000050.75,NULL,NULL,'{"group": "author", "rater_id": null}');
INSERT INTO "events" VALUES(13,'8a28d7c996440579cfb078a169726ea7','join',1800000050.75,3,NULL,'{"name": "author:01"}');
INSERT INTO "events" VALUES(14,'answer:6XF65tcTbbNcxL0C-nEaqmGeDL5TH1x9DIkOLc0Un94:0','answer',1800000058.0,3,8,'{"answer": {"pairwise": "a"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(15,'answer:wG8PT6Pl9MdWmG_Uy3p2hAl9QohgECOYeEckVNgdEFM:0','answer',1800000065.25,3,9,'{"answer": {"pairwise": "b"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(16,'answer:dzXFJTdlW-bL88MWOjlXuhmY61WfA-8AJroex-pBkus:0','answer',1800000072.5,3,10,'{"answer": {"pairwise": "tie"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(17,'answer:uMnnMfBEE7_qsmScxp70k_eBRXYbZVygHYOqrGxSHQk:0','answer',1800000079.75,3,11,'{"answer": {"quality": "fail"}, "state": "answered", "seconds": 7.2}');
INSERT INTO "events" VALUES(18,'b9af648a2728b6362afda3cd1836a76c','invite',1800000079.75,NULL,NULL,'{"group": "crowd", "rater_id": null}');
INSERT INTO "events" VALUES(19,'d518ffe19916de0d58b22e1f3a2de19f','join',1800000079.75,4,NULL,'{"name": "crowd:03"}');
INSERT INTO "events" VALUES(20,'d783475320deac8f324dd728d2d3e6e3','lead',1800000079.75,NULL,NULL,'{}');
INSERT INTO "events" VALUES(21,'cbf9f8a870cc729f5dae82bcddbcf0a9','excluded',1800000079.75,2,NULL,'{}');
CREATE TABLE facts (
	name VARCHAR(64) NOT NULL, 
	value JSON NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('texts','"82fd6eea19a535d6"');
INSERT INTO "facts" VALUES('plan','{"seed": 0, "tasks": ["pairwise", "quality"], "rating_votes": 1, "rate_items": null, "rate_tags": [], "groups": ["crowd", "author"], "overlap": 2, "overlap_votes": 2, "votes": 1}');
INSERT INTO "facts" VALUES('plan_hash','"a7957aff"');
INSERT INTO "facts" VALUES('cookies','"5de5bec596f493a4c420c1d7a00e2e27"');
CREATE TABLE invitations (
	id INTEGER NOT NULL, 
	code_hash VARCHAR(64) NOT NULL, 
	grp VARCHAR(32) NOT NULL, 
	note VARCHAR(200) NOT NULL, 
	created_at FLOAT NOT NULL, 
	rater_id INTEGER, 
	used_at FLOAT, 
	revoked_at FLOAT, 
	CONSTRAINT pk_invitations PRIMARY KEY (id), 
	CONSTRAINT fk_invitations_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id), 
	CONSTRAINT uq_invitations_code_hash UNIQUE (code_hash)
);
INSERT INTO "invitations" VALUES(1,'52b6835a97b40195df536286acbb6088e8756b2ca625bf78558df549615a94bc','crowd','',1800000000.0,1,1800000000.0,NULL);
INSERT INTO "invitations" VALUES(2,'90c2a332726befe5edd5cb9384457812b7825c10483a207ff502270e14570007','crowd','',1800000029.0,2,1800000029.0,NULL);
INSERT INTO "invitations" VALUES(3,'7aa6b1a5d8255fd388e86650edf282c1d18c8ec4fbc36eeccbfa1fa8edddc1f6','author','',1800000050.75,3,1800000050.75,NULL);
INSERT INTO "invitations" VALUES(4,'fc9f867739a45b27c0e138a7efeef615182dc887224d7ac3bedee53c9980fba4','crowd','',1800000079.75,4,1800000079.75,NULL);
CREATE TABLE panel_visits (
	rater_id INTEGER NOT NULL, 
	participant VARCHAR(200) NOT NULL, 
	study VARCHAR(200) NOT NULL, 
	session VARCHAR(200) NOT NULL, 
	arrived_at FLOAT NOT NULL, 
	way_out VARCHAR(16), 
	left_at FLOAT, 
	CONSTRAINT pk_panel_visits PRIMARY KEY (rater_id), 
	CONSTRAINT fk_panel_visits_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id)
);
CREATE TABLE raters (
	id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	grp VARCHAR(32) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	note VARCHAR(200) NOT NULL, 
	external_hash VARCHAR(64), 
	joined_at FLOAT NOT NULL, 
	CONSTRAINT pk_raters PRIMARY KEY (id), 
	CONSTRAINT uq_raters_external_hash UNIQUE (external_hash), 
	CONSTRAINT uq_raters_name UNIQUE (name)
);
INSERT INTO "raters" VALUES(1,'crowd:01','crowd','active','',NULL,1800000000.0);
INSERT INTO "raters" VALUES(2,'crowd:02','crowd','excluded','',NULL,1800000029.0);
INSERT INTO "raters" VALUES(3,'author:01','author','active','',NULL,1800000050.75);
INSERT INTO "raters" VALUES(4,'crowd:03','crowd','active','',NULL,1800000079.75);
CREATE TABLE sessions (
	token_hash VARCHAR(64) NOT NULL, 
	rater_id INTEGER, 
	expires_at FLOAT NOT NULL, 
	CONSTRAINT pk_sessions PRIMARY KEY (token_hash), 
	CONSTRAINT fk_sessions_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id)
);
INSERT INTO "sessions" VALUES('4239b6a534142e5e00514a01e00b8107f1fc34ab847e80835e9bdb146c0cf820',1,1807776000.0);
INSERT INTO "sessions" VALUES('ab8905c9d2a8613a5120cb99e0fa4b566c466ab83dcf066f4c457be37982123c',3,1807776050.75);
INSERT INTO "sessions" VALUES('00aacfe0e03d7680d47c42ef38589252349abc68d2d1bb8f86b8696e6fba1a04',4,1807776079.75);
INSERT INTO "sessions" VALUES('965937075f4d3015b81bf43db49dd32d6d06217cf73e4a12ec14496b43892f9d',NULL,1800043279.75);
CREATE TABLE showings (
	id INTEGER NOT NULL, 
	token VARCHAR(64) NOT NULL, 
	rater_id INTEGER NOT NULL, 
	unit_id INTEGER NOT NULL, 
	repeat INTEGER NOT NULL, 
	shown VARCHAR(2) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempt INTEGER NOT NULL, 
	answer JSON, 
	seconds FLOAT, 
	opened_at FLOAT NOT NULL, 
	answered_at FLOAT, 
	CONSTRAINT pk_showings PRIMARY KEY (id), 
	CONSTRAINT fk_showings_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id), 
	CONSTRAINT fk_showings_unit_id FOREIGN KEY(unit_id) REFERENCES units (id), 
	CONSTRAINT uq_showings_rater_id UNIQUE (rater_id, unit_id, repeat), 
	CONSTRAINT uq_showings_token UNIQUE (token)
);
INSERT INTO "showings" VALUES(1,'E2Fsq20s5dvU1K82KOpQpGqhLDWQuNrElGI__-mG0dg',1,1,0,'ab','answered',0,'{"pairwise": "b"}',7.2,1800000000.0,1800000007.25);
INSERT INTO "showings" VALUES(2,'-s50hpYrNTKHfnITqylaWuAO-tNDDrwFYauhZcw2m_Q',1,2,0,'ab','answered',0,'{"pairwise": "a"}',7.2,1800000007.25,1800000014.5);
INSERT INTO "showings" VALUES(3,'MRh62xFfnI-ySJfvmUMhf25TOP7OQC460Kxhp8Jl2Xw',1,1,1,'ba','answered',0,'{"pairwise": "tie"}',7.2,1800000014.5,1800000021.75);
INSERT INTO "showings" VALUES(4,'p1eAnzkvxrYfB8OP3QW7VNgTE0ill5h5CoYyo6oDIaI',1,3,0,'ba','answered',0,'{"pairwise": "a"}',7.2,1800000021.75,1800000029.0);
INSERT INTO "showings" VALUES(5,'-CvAIybe5OD2D9PG-GppsjN8zDplO2n-YetpGSOMtyE',2,4,0,'ba','answered',0,'{"pairwise": "a"}',7.2,1800000029.0,1800000036.25);
INSERT INTO "showings" VALUES(6,'D683BS4K0Q2p_cv5kfi7vUr0y8_I92PtE-JVFSIV2mE',2,5,0,'ab','answered',0,'{"pairwise": "tie"}',7.2,1800000036.25,1800000043.5);
INSERT INTO "showings" VALUES(7,'mTWQdq1-zp3sqpXhuoGCzv5feV_1IKM6epwUR-JAZOM',2,4,1,'ab','answered',0,'{"pairwise": "tie"}',7.2,1800000043.5,1800000050.75);
INSERT INTO "showings" VALUES(8,'6XF65tcTbbNcxL0C-nEaqmGeDL5TH1x9DIkOLc0Un94',3,4,0,'ba','answered',0,'{"pairwise": "a"}',7.2,1800000050.75,1800000058.0);
INSERT INTO "showings" VALUES(9,'wG8PT6Pl9MdWmG_Uy3p2hAl9QohgECOYeEckVNgdEFM',3,5,0,'ba','answered',0,'{"pairwise": "b"}',7.2,1800000058.0,1800000065.25);
INSERT INTO "showings" VALUES(10,'dzXFJTdlW-bL88MWOjlXuhmY61WfA-8AJroex-pBkus',3,4,1,'ab','answered',0,'{"pairwise": "tie"}',7.2,1800000065.25,1800000072.5);
INSERT INTO "showings" VALUES(11,'uMnnMfBEE7_qsmScxp70k_eBRXYbZVygHYOqrGxSHQk',3,6,0,'ab','answered',0,'{"quality": "fail"}',7.2,1800000072.5,1800000079.75);
INSERT INTO "showings" VALUES(12,'Ek9HV-g4lX9GHCKI6Z_eCSBHP55r97UMHCYv_07s_eo',4,4,0,'ba','open',0,NULL,NULL,1800000079.75,NULL);
CREATE TABLE slots (
	id INTEGER NOT NULL, 
	unit_id INTEGER NOT NULL, 
	grp VARCHAR(32) NOT NULL, 
	rank INTEGER NOT NULL, 
	showing_id INTEGER, 
	lease_until FLOAT NOT NULL, 
	done BOOLEAN NOT NULL, 
	CONSTRAINT pk_slots PRIMARY KEY (id), 
	CONSTRAINT fk_slots_showing_id FOREIGN KEY(showing_id) REFERENCES showings (id), 
	CONSTRAINT fk_slots_unit_id FOREIGN KEY(unit_id) REFERENCES units (id), 
	CONSTRAINT uq_slots_showing_id UNIQUE (showing_id)
);
INSERT INTO "slots" VALUES(1,1,'crowd',0,1,1800001800.0,1);
INSERT INTO "slots" VALUES(2,2,'crowd',1,2,1800001807.25,1);
INSERT INTO "slots" VALUES(3,3,'crowd',2,4,1800001821.75,1);
INSERT INTO "slots" VALUES(4,4,'crowd',3,NULL,0.0,0);
INSERT INTO "slots" VALUES(5,4,'author',4,8,1800001850.75,1);
INSERT INTO "slots" VALUES(6,5,'crowd',5,NULL,0.0,0);
INSERT INTO "slots" VALUES(7,5,'author',6,9,1800001858.0,1);
INSERT INTO "slots" VALUES(8,4,'crowd',7,12,1800001879.75,0);
INSERT INTO "slots" VALUES(9,4,'author',8,NULL,0.0,0);
INSERT INTO "slots" VALUES(10,5,'crowd',9,NULL,0.0,0);
INSERT INTO "slots" VALUES(11,5,'author',10,NULL,0.0,0);
INSERT INTO "slots" VALUES(12,6,'author',11,11,1800001872.5,1);
INSERT INTO "slots" VALUES(13,7,'author',12,NULL,0.0,0);
INSERT INTO "slots" VALUES(14,8,'author',13,NULL,0.0,0);
INSERT INTO "slots" VALUES(15,9,'author',14,NULL,0.0,0);
INSERT INTO "slots" VALUES(16,10,'author',15,NULL,0.0,0);
CREATE TABLE talks (
	id INTEGER NOT NULL, 
	token VARCHAR(64) NOT NULL, 
	rater_id INTEGER NOT NULL, 
	opening_id VARCHAR(200) NOT NULL, 
	system INTEGER NOT NULL, 
	place INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	example BOOLEAN NOT NULL, 
	opened_at FLOAT NOT NULL, 
	finished_at FLOAT, 
	CONSTRAINT pk_talks PRIMARY KEY (id), 
	CONSTRAINT fk_talks_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id), 
	CONSTRAINT uq_talks_rater_id UNIQUE (rater_id, opening_id, system), 
	CONSTRAINT uq_talks_token UNIQUE (token)
);
CREATE TABLE turns (
	id INTEGER NOT NULL, 
	talk_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	said TEXT NOT NULL, 
	reply TEXT, 
	state VARCHAR(16) NOT NULL, 
	attempt INTEGER NOT NULL, 
	value VARCHAR(16), 
	seconds FLOAT, 
	changed_at FLOAT NOT NULL, 
	CONSTRAINT pk_turns PRIMARY KEY (id), 
	CONSTRAINT fk_turns_talk_id FOREIGN KEY(talk_id) REFERENCES talks (id), 
	CONSTRAINT uq_turns_talk_id UNIQUE (talk_id, number)
);
CREATE TABLE units (
	id INTEGER NOT NULL, 
	task VARCHAR(16) NOT NULL, 
	text_id VARCHAR(200) NOT NULL, 
	shared BOOLEAN NOT NULL, 
	CONSTRAINT pk_units PRIMARY KEY (id), 
	CONSTRAINT uq_units_task UNIQUE (task, text_id)
);
INSERT INTO "units" VALUES(1,'pairwise','cmp-002',0);
INSERT INTO "units" VALUES(2,'pairwise','cmp-004',0);
INSERT INTO "units" VALUES(3,'pairwise','cmp-003',0);
INSERT INTO "units" VALUES(4,'pairwise','cmp-000',1);
INSERT INTO "units" VALUES(5,'pairwise','cmp-001',1);
INSERT INTO "units" VALUES(6,'rate','item-001',0);
INSERT INTO "units" VALUES(7,'rate','item-002',0);
INSERT INTO "units" VALUES(8,'rate','item-003',0);
INSERT INTO "units" VALUES(9,'rate','item-000',0);
INSERT INTO "units" VALUES(10,'rate','item-004',0);
CREATE INDEX ix_events_rater_id ON events (rater_id);
CREATE INDEX ix_events_showing_id ON events (showing_id);
CREATE INDEX ix_slots_next ON slots (grp, done, rank);
CREATE INDEX ix_slots_unit_id ON slots (unit_id);
CREATE INDEX ix_drafts_next ON drafts (grp, state, rank);
COMMIT;
