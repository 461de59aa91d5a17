INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('8aec7ed4-27b4-41ee-949c-30163cc2d44b', 'fd95a5d1-3b3c-4986-9cde-52f638d6b2be', '21bed447155f911c562b7d28928b9492a5aa6ad937006bc48560e30287753f3e', '2026-01-01T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('09dad477-0cdc-415d-a745-a272d31cd64c', '7ec25b67-17b0-43ca-8ab7-92b891fb82f0', 'e9ddb393d31cc6a540e48728fe9e7be502322c782acb1b1269aededa572da241', '2026-01-02T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('990f62e2-07ba-4c2f-ac1b-003917ac8d2c', '72daf323-9eef-4e03-9de5-bfb37f3b8c44', '59d176141c2c343188b2533f8cef20c13570cfc9778953dbbf1a4cef737482af', '2026-01-03T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('6dc8ebaf-ddae-458a-95be-8c8d855925dd', '9aa3003c-e693-4a8f-a1bc-95989236ad5d', '252c47b90c4b51ae9c9542de7d7e75d47848da7c6eda58bfbe6d8377308096f7', '2026-01-04T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('348662cd-a16e-4c01-840f-5dd60d62f0a6', '07f16efb-ea53-45f0-bc2a-71d32b5673a2', '5e043d15466945ff5e05bcbd26288c435d95faf89cf34466ee3dacedeb82be79', '2026-01-05T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('e661abaa-02c6-416c-88a7-c14ad4ada3b8', 'da61c424-d8b4-4d77-b324-1457a8908e98', 'fa0720d4fa79cac57046087ede52d88100af4cb957e08cf422a96fdcea583355', '2026-01-06T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('20bed5ff-cd05-46b3-b05e-6d432d239110', '14d42c3a-7be7-440b-9c9c-3d8747c6bd72', 'b2ee9d37abb56f2b01c0c142fe2a2a48049ed25ab58e3d624a6f53e67d21aa36', '2026-01-07T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('ba11e53c-80c5-4ad2-9bdd-a27ff7a32b73', '6ea70289-4a51-427f-89b0-d3cc24541c6f', 'b1272c48f6a45df7a62e1b1ee68fc84e6039fd486587a9570038fd8dcd40541e', '2026-01-08T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('1d019293-0cd3-4ff8-9e6f-ad2e80eb24f5', 'baf6fc78-9cb7-4d76-9b97-5bd4da58dd40', '0f099f1138140c2ec5156be176be87422a676ae2e6803dd2b662d4dc47d30bd5', '2026-01-09T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('83f62d34-637f-4d13-97f1-13d20a241646', '1bb4e484-ad43-49ab-aba9-8d72d702cc7a', '3bc1e613718cd706714d065c68e26392f7c8af7c52c449995ca7351e62a884b4', '2026-01-01T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('86c7550c-2868-4775-acce-92caf6af0c15', '54c0875e-1072-4d5b-9f78-d56fb52251ab', '15bb9b1f7a5df5cc64aeac408c77dc227683a80e788f1ee3c2660e02b25e24d4', '2026-01-02T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('9981f049-053e-4739-9fc4-66a4c6b3dffa', 'dc3f8e91-b854-4e83-a323-3696a357e1fd', '1e7a911858448853818eb453fdba475f812c748314a28f11ae9ded0fd3c9dc6b', '2026-01-03T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('41ba7bb0-43b6-4f7b-9379-da245c636ff9', '382074f7-057c-4ee4-8d5e-b1712b13d69a', 'fb3310195eaa140e6dd1fc0763234246e71c5162baf64eaa24ac5b830a4691d8', '2026-01-04T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('de40f3a3-7414-47e7-b22d-a8ad7bc0dd8b', 'b798d95e-3b99-40e8-ade2-92469c2c92cc', '3547586c2f77fe02b485aa6ce1e29a0271cc1836483c3c249052a6782b38c895', '2026-01-05T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('ca75008f-c48e-47a9-9b0c-c94e1bfd098d', '30a0c052-7f43-4fb5-aa39-2dae3ed44e34', 'dc9d898f620565ef218d706803fe0db7251f0c1369bfb0286d2ea8134c9e3a7d', '2026-01-06T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('60ed6df1-79d5-49c4-aced-6b925b9f7635', 'c5e781cc-c5ce-4ead-aacb-71734eecf170', '135b72a88818faa6e7873bd65c46b116918299f7e6a172b4ea43e15a7c31c89b', '2026-01-07T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('36f33858-b084-4ccf-a8c3-28e56caf46d0', 'e1bbd9a8-bbec-48df-8fe4-3b06f0ca9655', 'c3e858733fd7cf4b0ef6d9d9679af41f9c8366b2739b3e3a562f00597c07a857', '2026-01-08T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('28fff4d7-6d73-44c3-b8cc-eeaf7d7c21ae', '148eccdf-eb04-4390-a4c1-86b038a62c37', 'e61c4e09868153cc817e0b8ba67f3ecfa830340745fb5d1db9967d6a688a8b46', '2026-01-09T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('59c9981b-2c32-4b6b-a673-463dc52deda0', '74bc9ab3-8b60-4b96-8217-50e3a84e0f03', 'a681918473ef435ccce4bc543e0f37643feadc8555c0cfe2013f018b0477ee9b', '2026-01-01T10:00:00Z');
INSERT INTO tokens (id, key_id, sha256, created_at) VALUES ('c1491e20-b3af-4c01-8b2c-3fffe124e0dc', '72197dcf-099d-478d-8694-96e6e6c59b0e', '0fcac7d02f4f01dfca83442dcc7d12b298f2a52bde7ed36749557f58839ad3d5', '2026-01-02T10:00:00Z');
-- token: 8aec7ed4-27b4-41ee-949c-30163cc2d44b
-- key = 'c4eb12afa23c1be2f6e0f5fc0a1ebaa9'
-- token: fd95a5d1-3b3c-4986-9cde-52f638d6b2be
-- key = '9043e780ef41531c26f9a4d4b08be1e8'
-- token: 09dad477-0cdc-415d-a745-a272d31cd64c
-- key = '24f22c4b48081ac230e60046a40daec6'
-- token: 7ec25b67-17b0-43ca-8ab7-92b891fb82f0
-- key = '193b4b986853cab87f7f6c6a5d687949'
-- token: 990f62e2-07ba-4c2f-ac1b-003917ac8d2c
-- key = '6a7a73d51279e24f7af588dcd66f56b2'
