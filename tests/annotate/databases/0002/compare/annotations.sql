BEGIN TRANSACTION;
CREATE TABLE adjudications (
	unit_id INTEGER NOT NULL, 
	label VARCHAR(8) NOT NULL, 
	reason VARCHAR(500) NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_adjudications PRIMARY KEY (unit_id), 
	CONSTRAINT fk_adjudications_unit_id FOREIGN KEY(unit_id) REFERENCES units (id)
);
INSERT INTO "adjudications" VALUES(4,'a','Clear.',1800000225.0);
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
INSERT INTO "events" VALUES(1,'223384b13fef25bc3f0abc7db8de1236','invite',1800000000.0,NULL,NULL,'{"group": "crowd", "rater_id": null}');
INSERT INTO "events" VALUES(2,'eb57e7fcac5befd9e19d9523e13d8092','join',1800000000.0,1,NULL,'{"name": "crowd:01"}');
INSERT INTO "events" VALUES(3,'6749f4e6e515416bebc3296de2239710','invite',1800000000.0,NULL,NULL,'{"group": "author", "rater_id": null}');
INSERT INTO "events" VALUES(4,'04028e4901c7a9fd71aa09f3af1dc182','join',1800000000.0,2,NULL,'{"name": "author:01"}');
INSERT INTO "events" VALUES(5,'6fdb612fad30226e01fe4d490377c1eb','invite',1800000000.0,NULL,NULL,'{"group": "crowd", "rater_id": null}');
INSERT INTO "events" VALUES(6,'8216d3424baa8133ed88fe0b7ec958e2','join',1800000000.0,3,NULL,'{"name": "crowd:02"}');
INSERT INTO "events" VALUES(7,'answer:hrl8l9KlJpTCSnLMfaxq9_Q1kJB8oRLGPYK2LL5J334:0','answer',1800000012.5,1,1,'{"answer": {"pairwise": "a"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(8,'answer:t3nteGYHkQMX2eDykYBpGfCPL-BWT70lo7WnmYpDx44:0','answer',1800000025.0,1,4,'{"answer": {"pairwise": "tie"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(9,'answer:FLKKIc5TroHQJnKQslF91WreI8mwI9WRHHtfDyqhLuc:0','answer',1800000037.5,1,5,'{"answer": {"pairwise": "a"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(10,'answer:Of9ESfbKEANeAFPOjKgK2hNuQWFuHyzAAbj88zAF_Ys:0','answer',1800000050.0,1,6,'{"answer": {"pairwise": "b"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(11,'answer:I9B8BYHzFXrniWYdThl0B3Tbqfn1J9zM0sCZm4AArNk:0','answer',1800000062.5,1,7,'{"answer": {"pairwise": "tie"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(12,'answer:lpBibIzu-O_NhLj3J3p8UkuSxjJ6JdJsBNc9LqKFycM:0','answer',1800000075.0,1,8,'{"answer": {"pairwise": "a"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(13,'answer:Gz_Kv-iEE64P2HK0L-THrmiQSJcbDV-28YL28KMnf4I:0','answer',1800000087.5,2,2,'{"answer": {"pairwise": "a"}, "state": "answered", "seconds": 87.5}');
INSERT INTO "events" VALUES(14,'answer:IfaggSK6_5vUuRJffm9IB5LXWNvsmH-ERwHvZdHv4qQ:0','answer',1800000100.0,2,9,'{"answer": {"pairwise": "b"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(15,'answer:vVEMyEWoVdqrC4mhlaIPcaOMOmfQ7odqBgE0mCKvbpI:0','answer',1800000112.5,2,10,'{"answer": {"pairwise": "b"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(16,'answer:8frsVe3RvH5vo1EF6nBjV5RxrLKQlxN8pZMQ1mOHovc:0','answer',1800000125.0,2,11,'{"answer": {"quality": "fail"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(17,'answer:GW3TLuoJk_WOwGG3Pcb1PfpdGY4lvX0hLYoNs5L7Du4:0','answer',1800000137.5,2,12,'{"answer": {"quality": "pass"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(18,'answer:wsct_6B4tHjlPt5Gpfc944WRRx1yDfZGc5xXj9G2ak0:0','answer',1800000150.0,2,13,'{"answer": {"quality": "excellent"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(19,'answer:Dkk5LZwZk7zYtmDC7pvqxhzw1e9IeP_hshDIsm1RXk0:0','answer',1800000162.5,2,14,'{"answer": {"quality": "fail"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(20,'answer:G1X9g1lsJp3X2KI5lbory3qYK26IpF9tV5VelGImezU:0','answer',1800000175.0,2,15,'{"answer": {"quality": "pass"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(21,'answer:JoVBNCfXfpHJdOJx579dpUHBKaNIv6WHHrosybsvTfw:0','answer',1800000187.5,3,3,'{"answer": {"pairwise": "tie"}, "state": "answered", "seconds": 187.5}');
INSERT INTO "events" VALUES(22,'answer:OwVR9r-MjZf2HnZrZFBc00kDK0YauqE7Up9kwvgT26o:0','answer',1800000200.0,3,16,'{"answer": {"pairwise": "tie"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(23,'answer:y6Zl_LRgvzFMRFwdoQszUTw5UbRwyJK2Z4S90DEAEqY:0','answer',1800000212.5,3,17,'{"answer": {"pairwise": "tie"}, "state": "answered", "seconds": 12.5}');
INSERT INTO "events" VALUES(24,'back:lpBibIzu-O_NhLj3J3p8UkuSxjJ6JdJsBNc9LqKFycM:0','take_back',1800000212.5,1,8,'{}');
INSERT INTO "events" VALUES(25,'answer:lpBibIzu-O_NhLj3J3p8UkuSxjJ6JdJsBNc9LqKFycM:1','answer',1800000225.0,1,8,'{"answer": {"pairwise": "b"}, "state": "answered", "seconds": 162.5}');
INSERT INTO "events" VALUES(26,'48382358806193498c5fc228420d0080','lead',1800000225.0,NULL,NULL,'{}');
INSERT INTO "events" VALUES(27,'a5f7d552aad5dde5cf9cbeb292687b19','adjudicate',1800000225.0,NULL,NULL,'{"unit": 4, "label": "a", "reason": "Clear."}');
INSERT INTO "events" VALUES(28,'fe8a32cc41b8ea65d87b1e21ce76c6ad','excluded',1800000225.0,3,NULL,'{}');
CREATE TABLE facts (
	name VARCHAR(64) NOT NULL, 
	value JSON NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('texts','"82fd6eea19a535d6"');
INSERT INTO "facts" VALUES('plan','{"seed": 0, "tasks": ["pairwise", "quality"], "rating_votes": 1, "rate_items": null, "rate_tags": [], "groups": ["crowd", "author"], "overlap": 2, "overlap_votes": 2, "votes": 1}');
INSERT INTO "facts" VALUES('plan_hash','"a7957aff"');
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
INSERT INTO "invitations" VALUES(1,'ea7da5cc9845c88f0398f2846b4f627bb0b3d8f45f56b900583bd1b80ad9650c','crowd','',1800000000.0,1,1800000000.0,NULL);
INSERT INTO "invitations" VALUES(2,'fddefe941a425721ce7bfeede8b03b23ba0431e7b738c5eb656e2bb341045709','author','',1800000000.0,2,1800000000.0,NULL);
INSERT INTO "invitations" VALUES(3,'ad6ba725f4cf3bf5aa829334f3b5974589794ea3af9a38e06cc52cb2cda11b8c','crowd','',1800000000.0,3,1800000000.0,NULL);
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
INSERT INTO "raters" VALUES(2,'author:01','author','active','',NULL,1800000000.0);
INSERT INTO "raters" VALUES(3,'crowd:02','crowd','excluded','',NULL,1800000000.0);
CREATE TABLE sessions (
	token_hash VARCHAR(64) NOT NULL, 
	rater_id INTEGER, 
	expires_at FLOAT NOT NULL, 
	CONSTRAINT pk_sessions PRIMARY KEY (token_hash), 
	CONSTRAINT fk_sessions_rater_id FOREIGN KEY(rater_id) REFERENCES raters (id)
);
INSERT INTO "sessions" VALUES('ebbee4376c5f9b69d4f39b7cd95117b47874c108d4bcc3b334054bedf5dcd6e8',1,1807776000.0);
INSERT INTO "sessions" VALUES('e2dc0c8594843c3a8985ed39836b1e06ec69ec66716a0a6bc54574c6670c64ff',2,1807776000.0);
INSERT INTO "sessions" VALUES('03e120af5539a451ca59aa4477ed832f98c342cbc040f3fc4a71564e3cbb07b3',NULL,1800043425.0);
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
INSERT INTO "showings" VALUES(1,'hrl8l9KlJpTCSnLMfaxq9_Q1kJB8oRLGPYK2LL5J334',1,1,0,'ab','answered',0,'{"pairwise": "a"}',12.5,1800000000.0,1800000012.5);
INSERT INTO "showings" VALUES(2,'Gz_Kv-iEE64P2HK0L-THrmiQSJcbDV-28YL28KMnf4I',2,4,0,'ba','answered',0,'{"pairwise": "a"}',87.5,1800000000.0,1800000087.5);
INSERT INTO "showings" VALUES(3,'JoVBNCfXfpHJdOJx579dpUHBKaNIv6WHHrosybsvTfw',3,2,0,'ba','answered',0,'{"pairwise": "tie"}',187.5,1800000000.0,1800000187.5);
INSERT INTO "showings" VALUES(4,'t3nteGYHkQMX2eDykYBpGfCPL-BWT70lo7WnmYpDx44',1,3,0,'ab','answered',0,'{"pairwise": "tie"}',12.5,1800000012.5,1800000025.0);
INSERT INTO "showings" VALUES(5,'FLKKIc5TroHQJnKQslF91WreI8mwI9WRHHtfDyqhLuc',1,1,1,'ba','answered',0,'{"pairwise": "a"}',12.5,1800000025.0,1800000037.5);
INSERT INTO "showings" VALUES(6,'Of9ESfbKEANeAFPOjKgK2hNuQWFuHyzAAbj88zAF_Ys',1,4,0,'ba','answered',0,'{"pairwise": "b"}',12.5,1800000037.5,1800000050.0);
INSERT INTO "showings" VALUES(7,'I9B8BYHzFXrniWYdThl0B3Tbqfn1J9zM0sCZm4AArNk',1,5,0,'ba','answered',0,'{"pairwise": "tie"}',12.5,1800000050.0,1800000062.5);
INSERT INTO "showings" VALUES(8,'lpBibIzu-O_NhLj3J3p8UkuSxjJ6JdJsBNc9LqKFycM',1,3,1,'ba','answered',1,'{"pairwise": "b"}',162.5,1800000062.5,1800000225.0);
INSERT INTO "showings" VALUES(9,'IfaggSK6_5vUuRJffm9IB5LXWNvsmH-ERwHvZdHv4qQ',2,5,0,'ba','answered',0,'{"pairwise": "b"}',12.5,1800000087.5,1800000100.0);
INSERT INTO "showings" VALUES(10,'vVEMyEWoVdqrC4mhlaIPcaOMOmfQ7odqBgE0mCKvbpI',2,4,1,'ab','answered',0,'{"pairwise": "b"}',12.5,1800000100.0,1800000112.5);
INSERT INTO "showings" VALUES(11,'8frsVe3RvH5vo1EF6nBjV5RxrLKQlxN8pZMQ1mOHovc',2,6,0,'ab','answered',0,'{"quality": "fail"}',12.5,1800000112.5,1800000125.0);
INSERT INTO "showings" VALUES(12,'GW3TLuoJk_WOwGG3Pcb1PfpdGY4lvX0hLYoNs5L7Du4',2,7,0,'ab','answered',0,'{"quality": "pass"}',12.5,1800000125.0,1800000137.5);
INSERT INTO "showings" VALUES(13,'wsct_6B4tHjlPt5Gpfc944WRRx1yDfZGc5xXj9G2ak0',2,8,0,'ab','answered',0,'{"quality": "excellent"}',12.5,1800000137.5,1800000150.0);
INSERT INTO "showings" VALUES(14,'Dkk5LZwZk7zYtmDC7pvqxhzw1e9IeP_hshDIsm1RXk0',2,9,0,'ab','answered',0,'{"quality": "fail"}',12.5,1800000150.0,1800000162.5);
INSERT INTO "showings" VALUES(15,'G1X9g1lsJp3X2KI5lbory3qYK26IpF9tV5VelGImezU',2,10,0,'ab','answered',0,'{"quality": "pass"}',12.5,1800000162.5,1800000175.0);
INSERT INTO "showings" VALUES(16,'OwVR9r-MjZf2HnZrZFBc00kDK0YauqE7Up9kwvgT26o',3,4,0,'ab','answered',0,'{"pairwise": "tie"}',12.5,1800000187.5,1800000200.0);
INSERT INTO "showings" VALUES(17,'y6Zl_LRgvzFMRFwdoQszUTw5UbRwyJK2Z4S90DEAEqY',3,2,1,'ab','answered',0,'{"pairwise": "tie"}',12.5,1800000200.0,1800000212.5);
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
INSERT INTO "slots" VALUES(2,2,'crowd',1,NULL,0.0,0);
INSERT INTO "slots" VALUES(3,3,'crowd',2,4,1800001812.5,1);
INSERT INTO "slots" VALUES(4,4,'crowd',3,6,1800001837.5,1);
INSERT INTO "slots" VALUES(5,4,'author',4,2,1800001875.0,1);
INSERT INTO "slots" VALUES(6,5,'crowd',5,7,1800001850.0,1);
INSERT INTO "slots" VALUES(7,5,'author',6,9,1800001887.5,1);
INSERT INTO "slots" VALUES(8,4,'crowd',7,NULL,0.0,0);
INSERT INTO "slots" VALUES(9,4,'author',8,NULL,0.0,0);
INSERT INTO "slots" VALUES(10,5,'crowd',9,NULL,0.0,0);
INSERT INTO "slots" VALUES(11,5,'author',10,NULL,0.0,0);
INSERT INTO "slots" VALUES(12,6,'author',11,11,1800001912.5,1);
INSERT INTO "slots" VALUES(13,7,'author',12,12,1800001925.0,1);
INSERT INTO "slots" VALUES(14,8,'author',13,13,1800001937.5,1);
INSERT INTO "slots" VALUES(15,9,'author',14,14,1800001950.0,1);
INSERT INTO "slots" VALUES(16,10,'author',15,15,1800001962.5,1);
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
