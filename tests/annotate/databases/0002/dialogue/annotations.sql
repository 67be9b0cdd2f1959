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
INSERT INTO "alembic_version" VALUES('0002');
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
INSERT INTO "choices" VALUES(1,1,'open-0',0,1800000120.0);
INSERT INTO "choices" VALUES(2,1,'open-1',NULL,1800000240.0);
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
INSERT INTO "events" VALUES(1,'1555421ae8b508c7e4147d024221a56b','invite',1800000000.0,NULL,NULL,'{"group": "crowd", "rater_id": null}');
INSERT INTO "events" VALUES(2,'4c2d55615e90abfc16d752cb136210fa','join',1800000000.0,1,NULL,'{"name": "crowd:01"}');
INSERT INTO "events" VALUES(3,'say:kv6IZm4k0YoBEZEjIrbLvWoVxpoTxxU1mUr8VmKKZok:0','say',1800000000.0,1,NULL,'{"dialogue": 1, "said": "opening-0"}');
INSERT INTO "events" VALUES(4,'reply:kv6IZm4k0YoBEZEjIrbLvWoVxpoTxxU1mUr8VmKKZok:0:0','reply',1800000000.0,1,NULL,'{"dialogue": 1, "state": "answered", "reply": "red: opening-0"}');
INSERT INTO "events" VALUES(5,'07ffd885cedc82a1ac975bc19b1863fe','invite',1800000000.0,NULL,NULL,'{"group": "crowd", "rater_id": null}');
INSERT INTO "events" VALUES(6,'d08db58dfb48f04dbe153768a004d34e','join',1800000000.0,2,NULL,'{"name": "crowd:02"}');
INSERT INTO "events" VALUES(7,'say:xIsIVhmAiAGZeYcHOcFPDkXPfGz2n39r-mUmW0AwXeI:0','say',1800000000.0,2,NULL,'{"dialogue": 2, "said": "opening-1"}');
INSERT INTO "events" VALUES(8,'reply:xIsIVhmAiAGZeYcHOcFPDkXPfGz2n39r-mUmW0AwXeI:0:0','reply',1800000000.0,2,NULL,'{"dialogue": 2, "state": "answered", "reply": "red: opening-1"}');
INSERT INTO "events" VALUES(9,'rate:kv6IZm4k0YoBEZEjIrbLvWoVxpoTxxU1mUr8VmKKZok:0:VacDpyHi','rate',1800000060.0,1,NULL,'{"dialogue": 1, "value": "excellent"}');
INSERT INTO "events" VALUES(10,'say:kv6IZm4k0YoBEZEjIrbLvWoVxpoTxxU1mUr8VmKKZok:1','say',1800000060.0,1,NULL,'{"dialogue": 1, "said": "more"}');
INSERT INTO "events" VALUES(11,'reply:kv6IZm4k0YoBEZEjIrbLvWoVxpoTxxU1mUr8VmKKZok:1:0','reply',1800000060.0,1,NULL,'{"dialogue": 1, "state": "answered", "reply": "red: more"}');
INSERT INTO "events" VALUES(12,'rate:kv6IZm4k0YoBEZEjIrbLvWoVxpoTxxU1mUr8VmKKZok:1:CJ7-Nev3','rate',1800000060.0,1,NULL,'{"dialogue": 1, "value": "excellent"}');
INSERT INTO "events" VALUES(13,'finish:kv6IZm4k0YoBEZEjIrbLvWoVxpoTxxU1mUr8VmKKZok:','finish',1800000060.0,1,NULL,'{"dialogue": 1, "example": false}');
INSERT INTO "events" VALUES(14,'say:oFeThbt49FyW54qNZzF7A4xXY_IjcmksqD5dVuWRVGc:0','say',1800000060.0,1,NULL,'{"dialogue": 3, "said": "opening-0"}');
INSERT INTO "events" VALUES(15,'reply:oFeThbt49FyW54qNZzF7A4xXY_IjcmksqD5dVuWRVGc:0:0','reply',1800000060.0,1,NULL,'{"dialogue": 3, "state": "answered", "reply": "blue: opening-0"}');
INSERT INTO "events" VALUES(16,'rate:oFeThbt49FyW54qNZzF7A4xXY_IjcmksqD5dVuWRVGc:0:7eDJ7_BZ','rate',1800000060.0,1,NULL,'{"dialogue": 3, "value": "fail"}');
INSERT INTO "events" VALUES(17,'finish:oFeThbt49FyW54qNZzF7A4xXY_IjcmksqD5dVuWRVGc:','finish',1800000060.0,1,NULL,'{"dialogue": 3, "example": false}');
INSERT INTO "events" VALUES(18,'choose:1:895b5354ca9e56f7','choose',1800000120.0,1,NULL,'{"opening": "open-0", "place": 0}');
INSERT INTO "events" VALUES(19,'say:xKypCDW1zkKD6HORkS5vf0w6wcJJ1Lca_lsSeQLQcAU:0','say',1800000120.0,1,NULL,'{"dialogue": 4, "said": "opening-1"}');
INSERT INTO "events" VALUES(20,'reply:xKypCDW1zkKD6HORkS5vf0w6wcJJ1Lca_lsSeQLQcAU:0:0','reply',1800000180.0,1,NULL,'{"dialogue": 4, "state": "answered", "reply": "red: opening-1"}');
INSERT INTO "events" VALUES(21,'rate:xKypCDW1zkKD6HORkS5vf0w6wcJJ1Lca_lsSeQLQcAU:0:pTd9RM6_','rate',1800000180.0,1,NULL,'{"dialogue": 4, "value": "pass"}');
INSERT INTO "events" VALUES(22,'finish:xKypCDW1zkKD6HORkS5vf0w6wcJJ1Lca_lsSeQLQcAU:','finish',1800000180.0,1,NULL,'{"dialogue": 4, "example": false}');
INSERT INTO "events" VALUES(23,'say:Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0:0','say',1800000180.0,1,NULL,'{"dialogue": 5, "said": "opening-1"}');
INSERT INTO "events" VALUES(24,'reply:Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0:0:0','reply',1800000180.0,1,NULL,'{"dialogue": 5, "state": "answered", "reply": "blue: opening-1"}');
INSERT INTO "events" VALUES(25,'rate:Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0:0:D_ZwvjGG','rate',1800000180.0,1,NULL,'{"dialogue": 5, "value": "pass"}');
INSERT INTO "events" VALUES(26,'say:Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0:1','say',1800000180.0,1,NULL,'{"dialogue": 5, "said": "and"}');
INSERT INTO "events" VALUES(27,'reply:Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0:1:0','reply',1800000180.0,1,NULL,'{"dialogue": 5, "state": "answered", "reply": "blue: and"}');
INSERT INTO "events" VALUES(28,'rate:Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0:1:AcXVE0yP','rate',1800000180.0,1,NULL,'{"dialogue": 5, "value": "pass"}');
INSERT INTO "events" VALUES(29,'say:Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0:2','say',1800000180.0,1,NULL,'{"dialogue": 5, "said": "on"}');
INSERT INTO "events" VALUES(30,'reply:Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0:2:0','reply',1800000180.0,1,NULL,'{"dialogue": 5, "state": "answered", "reply": "blue: on"}');
INSERT INTO "events" VALUES(31,'rate:Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0:2:r9KxFVIc','rate',1800000180.0,1,NULL,'{"dialogue": 5, "value": "pass"}');
INSERT INTO "events" VALUES(32,'finish:Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0:','finish',1800000180.0,1,NULL,'{"dialogue": 5, "example": false}');
INSERT INTO "events" VALUES(33,'choose:1:50072bfba76b4c5c','choose',1800000240.0,1,NULL,'{"opening": "open-1", "place": null}');
INSERT INTO "events" VALUES(34,'rate:xIsIVhmAiAGZeYcHOcFPDkXPfGz2n39r-mUmW0AwXeI:0:v0jQo-iC','rate',1800000300.0,2,NULL,'{"dialogue": 2, "value": "pass"}');
INSERT INTO "events" VALUES(35,'finish:xIsIVhmAiAGZeYcHOcFPDkXPfGz2n39r-mUmW0AwXeI:','finish',1800000300.0,2,NULL,'{"dialogue": 2, "example": false}');
INSERT INTO "events" VALUES(36,'say:vWLCo4FKz1kMMgD60I3O3kfAsNSrw9t46ivw3tPlySI:0','say',1800000300.0,2,NULL,'{"dialogue": 6, "said": "opening-1"}');
INSERT INTO "events" VALUES(37,'reply:vWLCo4FKz1kMMgD60I3O3kfAsNSrw9t46ivw3tPlySI:0:0','reply',1800000300.0,2,NULL,'{"dialogue": 6, "state": "answered", "reply": "blue: opening-1"}');
CREATE TABLE facts (
	name VARCHAR(64) NOT NULL, 
	value JSON NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('texts','"c30cbe96904b6064d3bf03b4658d834dc051064232c4783a3b8b16924346ec8e"');
INSERT INTO "facts" VALUES('plan','{"systems": "a0b27f1d1474c952", "seed": 0, "dialogue_votes": 2}');
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
INSERT INTO "invitations" VALUES(1,'7e9373a130c8c9cb896e3980a11e76662c798209d5cf806e9dd14f7344729602','crowd','',1800000000.0,1,1800000000.0,NULL);
INSERT INTO "invitations" VALUES(2,'8a650153801220a86fbca79ee6a5dde3c2b5d2d3012030626342db710be4934a','crowd','',1800000000.0,2,1800000000.0,NULL);
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
INSERT INTO "raters" VALUES(2,'crowd:02','crowd','active','',NULL,1800000000.0);
CREATE TABLE sessions (
	token_hash VARCHAR(64) NOT NULL, 
	rater_id INTEGER, 
	expires_at FLOAT NOT NULL, 
	CONSTRAINT pk_sessions PRIMARY KEY (token_hash), 
	CONSTRAINT fk_sessions_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id)
);
INSERT INTO "sessions" VALUES('2e771c0287ff96ed56514424a358b473ccd1a7948e58365f75815d205766c89f',1,1807776000.0);
INSERT INTO "sessions" VALUES('70d05c765e90bee0e984a07045da9711da3aabb3b7a186a97b762ba80b933bff',2,1807776000.0);
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
INSERT INTO "talks" VALUES(1,'kv6IZm4k0YoBEZEjIrbLvWoVxpoTxxU1mUr8VmKKZok',1,'open-0',0,0,'finished',0,1800000000.0,1800000060.0);
INSERT INTO "talks" VALUES(2,'xIsIVhmAiAGZeYcHOcFPDkXPfGz2n39r-mUmW0AwXeI',2,'open-1',0,0,'finished',0,1800000000.0,1800000300.0);
INSERT INTO "talks" VALUES(3,'oFeThbt49FyW54qNZzF7A4xXY_IjcmksqD5dVuWRVGc',1,'open-0',1,1,'finished',0,1800000060.0,1800000060.0);
INSERT INTO "talks" VALUES(4,'xKypCDW1zkKD6HORkS5vf0w6wcJJ1Lca_lsSeQLQcAU',1,'open-1',0,0,'finished',0,1800000120.0,1800000180.0);
INSERT INTO "talks" VALUES(5,'Qqa_LGIQYymp5k9wGCQaYy_KwUq2y6Y2tiYg78L9gs0',1,'open-1',1,1,'finished',0,1800000180.0,1800000180.0);
INSERT INTO "talks" VALUES(6,'vWLCo4FKz1kMMgD60I3O3kfAsNSrw9t46ivw3tPlySI',2,'open-1',1,1,'open',0,1800000300.0,NULL);
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
INSERT INTO "turns" VALUES(1,1,0,'opening-0','red: opening-0','answered',0,'excellent',NULL,1800000060.0);
INSERT INTO "turns" VALUES(2,2,0,'opening-1','red: opening-1','answered',0,'pass',NULL,1800000300.0);
INSERT INTO "turns" VALUES(3,1,1,'more','red: more','answered',0,'excellent',NULL,1800000060.0);
INSERT INTO "turns" VALUES(4,3,0,'opening-0','blue: opening-0','answered',0,'fail',NULL,1800000060.0);
INSERT INTO "turns" VALUES(5,4,0,'opening-1','red: opening-1','answered',0,'pass',NULL,1800000180.0);
INSERT INTO "turns" VALUES(6,5,0,'opening-1','blue: opening-1','answered',0,'pass',NULL,1800000180.0);
INSERT INTO "turns" VALUES(7,5,1,'and','blue: and','answered',0,'pass',NULL,1800000180.0);
INSERT INTO "turns" VALUES(8,5,2,'on','blue: on','answered',0,'pass',NULL,1800000180.0);
INSERT INTO "turns" VALUES(9,6,0,'opening-1','blue: opening-1','answered',0,NULL,NULL,1800000300.0);
CREATE TABLE units (
	id INTEGER NOT NULL, 
	task VARCHAR(16) NOT NULL, 
	text_id VARCHAR(200) NOT NULL, 
	shared BOOLEAN NOT NULL, 
	CONSTRAINT pk_units PRIMARY KEY (id), 
	CONSTRAINT uq_units_task UNIQUE (task, text_id)
);
CREATE INDEX ix_events_rater_id ON events (rater_id);
CREATE INDEX ix_events_showing_id ON events (showing_id);
CREATE INDEX ix_slots_next ON slots (grp, done, rank);
CREATE INDEX ix_slots_unit_id ON slots (unit_id);
CREATE INDEX ix_drafts_next ON drafts (grp, state, rank);
COMMIT;
