/** Generated from the API's OpenAPI document by `npm run generate:api-types`. Do not edit. */
export interface paths {
    "/api/v1/auth/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_auth_login"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/change-password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_auth_change_password"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_auth_logout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/sse-ticket": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_auth_sse_ticket"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_audit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deckies/deploy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_deckies_deploy"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deckies/lifecycle": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_deckies_lifecycle"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deckies": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_deckies"];
        put?: never;
        post?: never;
        delete: operations["delete_deckies"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deckies/{decky_name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete: operations["delete_deckies_decky_name"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deckies/{decky_name}/mutate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_deckies_decky_name_mutate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deckies/{decky_name}/mutate-interval": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["put_deckies_decky_name_mutate_interval"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/drift": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_drift"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/reconcile": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_reconcile"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/config/reconcile-interval": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["put_config_reconcile_interval"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deckies/{decky_name}/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_deckies_decky_name_stop"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deckies/{decky_name}/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_deckies_decky_name_start"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deployments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_deployments"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deployments/{deployment_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_deployments_deployment_id"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deployments/{deployment_id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_deployments_deployment_id_cancel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/fleet": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_fleet"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_stream"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/topologies/archetypes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_topologies_archetypes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/topologies/services": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_topologies_services"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/topologies/services/{service_name}/schema": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_topologies_services_service_name_schema"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/config": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_config"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/config/deployment-limit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["put_config_deployment_limit"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/config/global-mutation-interval": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["put_config_global_mutation_interval"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/config/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_config_users"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/config/users/{user_uuid}/reset-password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["put_config_users_user_uuid_reset_password"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/config/users/{user_uuid}/role": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put: operations["put_config_users_user_uuid_role"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/config/users/{user_uuid}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete: operations["delete_config_users_user_uuid"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/system/deployment-mode": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_system_deployment_mode"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/swarm/hosts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_swarm_hosts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/swarm/hosts/{uuid}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_swarm_hosts_uuid"];
        put?: never;
        post?: never;
        delete: operations["delete_swarm_hosts_uuid"];
        options?: never;
        head?: never;
        patch: operations["patch_swarm_hosts_uuid"];
        trace?: never;
    };
    "/api/v1/swarm/hosts/{uuid}/teardown": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_swarm_hosts_uuid_teardown"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/swarm/deckies": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_swarm_deckies"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/swarm/hosts/{uuid}/move": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_swarm_hosts_uuid_move"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/swarm/enrollments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_swarm_enrollments"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/swarm/enroll-bundle": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post: operations["post_swarm_enroll_bundle"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/swarm/enroll-bundle/{file}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_swarm_enroll_bundle_file"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_healthz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_readyz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_openapi_json"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/docs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["get_docs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Error: {
            detail: string;
        };
        AuditEntry: {
            id: string;
            at: string;
            listener: string;
            username: string | null;
            peer: string | null;
            request_id: string;
            method: string;
            path: string;
            subject: {
                kind: string;
                name: string;
            } | null;
            request: {
                [key: string]: unknown;
            };
            before: {
                [key: string]: unknown;
            } | null;
            after: {
                [key: string]: unknown;
            } | null;
            status: number | null;
            error_code: string | null;
        };
        DeployRequest: {
            ini_content: string;
            /** @default false */
            replace_fleet?: boolean;
            max_parallel?: number;
            min_healthy_time?: string;
            healthy_deadline?: string;
            progress_deadline?: string;
            host_lost_after?: string;
        };
        LifecycleRow: {
            id: string;
            decky_name: string;
            host_uuid: string | null;
            /** @enum {string} */
            operation: "deploy" | "mutate" | "teardown";
            /** @enum {string} */
            status: "pending" | "running" | "succeeded" | "failed";
            error: string | null;
            /** Format: date-time */
            started_at: string;
            /** Format: date-time */
            updated_at: string;
            /** Format: date-time */
            completed_at: string | null;
        };
        DeckyConfig: {
            name: string;
            ip: string;
            services: string[];
            distro: string;
            base_image: string;
            build_base: string;
            hostname: string;
            archetype: string | null;
            service_config: {
                [key: string]: {
                    [key: string]: unknown;
                };
            };
            nmap_os: string;
            mutate_interval: number | null;
            last_mutated: number;
            last_login_attempt: number;
            host_uuid: string | null;
        };
        MutateRequest: {
            services?: string[] | null;
        };
        Drift: {
            decky_name: string;
            host_uuid: string | null;
            host_name: string | null;
            reason: components["schemas"]["DriftReason"];
            detail: string;
            /** Format: date-time */
            since: string;
        };
        /** @enum {string} */
        DriftReason: "missing" | "exited" | "paused" | "cut_off" | "other_image" | "other_configuration" | "orphan" | "moved_address";
        SilentEngine: {
            host_uuid: string | null;
            host_name: string | null;
            why: string;
            /** Format: date-time */
            since: string | null;
            deckies: number;
        };
        Mending: {
            decky_name: string;
            host_uuid: string | null;
            /** @enum {string} */
            action: "deploy" | "teardown";
            reasons: components["schemas"]["DriftReason"][];
        };
        ReconcileRequest: {
            /** @default false */
            dry_run?: boolean;
            host?: string | null;
            deckies?: string[] | null;
        };
        Deployment: {
            deployment_id: string;
            /** @enum {string} */
            kind: "deploy" | "teardown" | "mutate" | "reconcile" | "stop" | "start" | "move";
            /** @enum {string} */
            state: "received" | "accepted" | "refused" | "withdrawn";
            /** @enum {string|null} */
            outcome: "succeeded" | "failed" | "cancelled" | "refused" | "withdrawn" | null;
            username: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            ended_at: string | null;
            counts: {
                pending: number;
                running: number;
                succeeded: number;
                failed: number;
            };
        };
        DeploymentDetail: {
            deployment_id: string;
            /** @enum {string} */
            kind: "deploy" | "teardown" | "mutate" | "reconcile" | "stop" | "start" | "move";
            /** @enum {string} */
            state: "received" | "accepted" | "refused" | "withdrawn";
            /** @enum {string|null} */
            outcome: "succeeded" | "failed" | "cancelled" | "refused" | "withdrawn" | null;
            username: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            ended_at: string | null;
            counts: {
                pending: number;
                running: number;
                succeeded: number;
                failed: number;
            };
            waiting_for: string | null;
            warnings: string[];
            refusal: {
                code: string;
                detail: string;
            } | null;
            rows: {
                id: string;
                decky_name: string;
                host_uuid: string | null;
                /** @enum {string} */
                operation: "deploy" | "mutate" | "teardown";
                /** @enum {string} */
                status: "pending" | "running" | "succeeded" | "failed";
                error: string | null;
                /** Format: date-time */
                started_at: string;
                /** Format: date-time */
                updated_at: string;
                /** Format: date-time */
                completed_at: string | null;
                host_name: string | null;
                step: string | null;
                attempt: number;
            }[];
        };
        Fleet: {
            network: {
                driver: string;
                interface: string;
                subnet: string;
                gateway: string;
            } | null;
            simulated: boolean | null;
            deckies: {
                name: string;
                ip: string;
                services: string[];
                hostname: string;
                archetype: string | null;
                host_uuid: string | null;
                host_name: string | null;
                /** @enum {string} */
                state: "pending" | "running" | "failed" | "torn_down" | "degraded" | "tearing_down" | "teardown_failed" | "stopped" | "unknown";
                drift: components["schemas"]["DriftReason"][];
                last_error: string | null;
                established: boolean;
                open: {
                    /** @enum {string} */
                    operation: "deploy" | "mutate" | "teardown";
                    /** @enum {string} */
                    status: "pending" | "running" | "succeeded" | "failed";
                    step: string | null;
                    lifecycle_id: string;
                } | null;
                /** Format: date-time */
                updated_at: string;
            }[];
        };
        Event: {
            id?: string;
            /** @enum {string} */
            event?: "lifecycle" | "mutation" | "drift" | "warning" | "gap" | "end";
            data?: string;
            retry?: number;
        };
        FigureEvent: {
            /** @enum {string} */
            event: "message";
            data: string;
        };
        Archetype: {
            slug: string;
            display_name: string;
            description: string;
            services: string[];
            preferred_distros: string[];
            nmap_os: string;
        };
        ServiceSetting: {
            key: string;
            label: string;
            /** @enum {string} */
            type: "string" | "textarea" | "password" | "int" | "bool" | "enum" | "multi_enum";
            default?: unknown;
            secret: boolean;
            help: string | null;
            enum?: string[];
            placeholder: string | null;
        };
        User: {
            uuid: string;
            username: string;
            /** @enum {string} */
            role: "admin" | "viewer";
            must_change_password: boolean;
        };
        Host: {
            uuid: string;
            name: string;
            address: string;
            agent_port: number;
            /** @enum {string} */
            status: "enrolled" | "active" | "unreachable";
            /** Format: date-time */
            last_heartbeat: string | null;
            client_cert_fingerprint: string;
            updater_cert_fingerprint: string | null;
            /** Format: date-time */
            enrolled_at: string;
            notes: string | null;
            use_ipvlan: boolean;
            draining: boolean;
            fenced: boolean;
            agent_version: string | null;
            /** Format: date-time */
            cert_not_after: string | null;
            renew_requested: boolean;
            owes: number;
        };
        Shard: {
            decky_name: string;
            decky_ip: string | null;
            host_uuid: string;
            host_name: string;
            host_address: string;
            host_status: string;
            services: string[];
            state: string;
            last_error: string | null;
            compose_hash: string | null;
            /** Format: date-time */
            updated_at: string;
            hostname: string | null;
            distro: string | null;
            archetype: string | null;
            service_config: {
                [key: string]: {
                    [key: string]: unknown;
                };
            };
            mutate_interval: number | null;
            last_mutated: number;
            /** Format: date-time */
            last_seen: string | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    post_auth_login: {
        parameters: {
            query?: never;
            header?: {
                "deckhand-login-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    username: string;
                    /** Format: password */
                    password: string;
                };
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        access_token: string;
                        /** @enum {string} */
                        token_type: "bearer";
                        must_change_password: boolean;
                    };
                };
            };
        };
    };
    post_auth_change_password: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** Format: password */
                    old_password: string;
                    /** Format: password */
                    new_password: string;
                };
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                    };
                };
            };
        };
    };
    post_auth_logout: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                    };
                };
            };
        };
    };
    post_auth_sse_ticket: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        ticket: string;
                        expires_in: number;
                    };
                };
            };
        };
    };
    get_audit: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
                user?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        entries: components["schemas"]["AuditEntry"][];
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    post_deckies_deploy: {
        parameters: {
            query?: never;
            header?: {
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DeployRequest"];
            };
        };
        responses: {
            202: {
                headers: {
                    "Deckhand-Deployment-Id": string;
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                        mode: string;
                        lifecycle_ids: string[];
                        removed_lifecycle_ids?: string[];
                        warnings?: string[];
                    };
                };
            };
        };
    };
    get_deckies_lifecycle: {
        parameters: {
            query: {
                ids: string[];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        rows: components["schemas"]["LifecycleRow"][];
                    };
                };
            };
        };
    };
    get_deckies: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeckyConfig"][];
                };
            };
        };
    };
    delete_deckies: {
        parameters: {
            query?: {
                host_lost_after?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    "Deckhand-Deployment-Id": string;
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        lifecycle_ids: string[];
                    };
                };
            };
        };
    };
    delete_deckies_decky_name: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                decky_name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        lifecycle_ids: string[];
                    };
                };
            };
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    post_deckies_decky_name_mutate: {
        parameters: {
            query?: never;
            header?: {
                "idempotency-key"?: string;
            };
            path: {
                decky_name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["MutateRequest"];
            };
        };
        responses: {
            202: {
                headers: {
                    "Deckhand-Deployment-Id": string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        lifecycle_ids: string[];
                        warnings?: string[];
                    };
                };
            };
        };
    };
    put_deckies_decky_name_mutate_interval: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                decky_name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    mutate_interval?: string | number | null;
                };
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                    };
                };
            };
        };
    };
    get_drift: {
        parameters: {
            query?: {
                decky?: string;
                host?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        drift: components["schemas"]["Drift"][];
                        unknown: components["schemas"]["SilentEngine"][];
                        reconcile_interval: string | null;
                    };
                };
            };
        };
    };
    post_reconcile: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ReconcileRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                        mending: components["schemas"]["Mending"][];
                        unknown: components["schemas"]["SilentEngine"][];
                    };
                };
            };
            202: {
                headers: {
                    "Deckhand-Deployment-Id": string;
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                        deployment_id: string;
                        lifecycle_ids: string[];
                        removed_lifecycle_ids?: string[];
                        mending: components["schemas"]["Mending"][];
                        unknown: components["schemas"]["SilentEngine"][];
                    };
                };
            };
        };
    };
    put_config_reconcile_interval: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    reconcile_interval: string | null;
                };
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                    };
                };
            };
        };
    };
    post_deckies_decky_name_stop: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                decky_name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    "Deckhand-Deployment-Id": string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        lifecycle_ids: string[];
                    };
                };
            };
        };
    };
    post_deckies_decky_name_start: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                decky_name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    "Deckhand-Deployment-Id": string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        lifecycle_ids: string[];
                    };
                };
            };
        };
    };
    get_deployments: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        deployments: components["schemas"]["Deployment"][];
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    get_deployments_deployment_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                deployment_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeploymentDetail"];
                };
            };
        };
    };
    post_deployments_deployment_id_cancel: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                deployment_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                        deployment_id: string;
                        lifecycle_ids: string[];
                    };
                };
            };
        };
    };
    get_fleet: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Fleet"];
                };
            };
        };
    };
    get_events: {
        parameters: {
            query?: {
                ticket?: string;
                last_event_id?: number | null;
                decky?: string;
                host?: string;
                deployment?: string;
            };
            header?: {
                "last-event-id"?: number | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["Event"];
                };
            };
        };
    };
    get_stream: {
        parameters: {
            query?: {
                ticket?: string;
                maxOutput?: number | null;
                lastEventId?: number | null;
                search?: string;
                start_time?: string;
                end_time?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["FigureEvent"];
                };
            };
        };
    };
    get_topologies_archetypes: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        archetypes: components["schemas"]["Archetype"][];
                    };
                };
            };
        };
    };
    get_topologies_services: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        services: string[];
                        fleet_singletons: string[];
                    };
                };
            };
        };
    };
    get_topologies_services_service_name_schema: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                service_name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        name: string;
                        ports: number[];
                        fleet_singleton: boolean;
                        fields: components["schemas"]["ServiceSetting"][];
                    };
                };
            };
        };
    };
    get_config: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @enum {string} */
                        role: "admin" | "viewer";
                        deployment_limit: number;
                        global_mutation_interval: string;
                        users?: components["schemas"]["User"][];
                    };
                };
            };
        };
    };
    put_config_deployment_limit: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    deployment_limit: number;
                };
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                    };
                };
            };
        };
    };
    put_config_global_mutation_interval: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    global_mutation_interval: string;
                };
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                    };
                };
            };
        };
    };
    post_config_users: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    username: string;
                    /** Format: password */
                    password: string;
                    /**
                     * @default viewer
                     * @enum {string}
                     */
                    role?: "admin" | "viewer";
                };
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
        };
    };
    put_config_users_user_uuid_reset_password: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_uuid: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** Format: password */
                    new_password: string;
                };
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                    };
                };
            };
        };
    };
    put_config_users_user_uuid_role: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_uuid: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @enum {string} */
                    role: "admin" | "viewer";
                };
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                    };
                };
            };
        };
    };
    delete_config_users_user_uuid: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_uuid: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        message: string;
                    };
                };
            };
        };
    };
    get_system_deployment_mode: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @enum {string} */
                        mode: "unihost" | "swarm";
                        /** @enum {string} */
                        role: "master" | "agent";
                        swarm_host_count: number;
                    };
                };
            };
        };
    };
    get_swarm_hosts: {
        parameters: {
            query?: {
                host_status?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Host"][];
                };
            };
        };
    };
    get_swarm_hosts_uuid: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                uuid: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Host"];
                };
            };
        };
    };
    delete_swarm_hosts_uuid: {
        parameters: {
            query?: {
                self_destruct?: "true" | "false";
            };
            header?: never;
            path: {
                uuid: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    patch_swarm_hosts_uuid: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                uuid: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    draining?: boolean;
                    /** @enum {boolean} */
                    renew?: true;
                    use_ipvlan?: boolean;
                    notes?: string | null;
                };
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Host"];
                };
            };
        };
    };
    post_swarm_hosts_uuid_teardown: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                uuid: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @default null */
                    decky_id?: string | null;
                    host_lost_after?: string;
                };
            };
        };
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        host_uuid: string;
                        host_name: string;
                        decky_id: string | null;
                        /** @enum {boolean} */
                        accepted: true;
                        detail: string;
                        lifecycle_ids: string[];
                    };
                };
            };
        };
    };
    get_swarm_deckies: {
        parameters: {
            query?: {
                host_uuid?: string;
                state?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Shard"][];
                };
            };
        };
    };
    post_swarm_hosts_uuid_move: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                uuid: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    "Deckhand-Deployment-Id": string;
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        lifecycle_ids: string[];
                    };
                };
            };
        };
    };
    post_swarm_enrollments: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    name: string;
                    address: string;
                    /** @default 8765 */
                    agent_port?: number;
                    /** @default [] */
                    sans?: string[];
                    /** @default null */
                    notes?: string | null;
                    /** @default false */
                    use_ipvlan?: boolean;
                };
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        host_uuid: string;
                        token: string;
                        command: string;
                        expires_at: string;
                        ca_fingerprint: string;
                    };
                };
            };
        };
    };
    post_swarm_enroll_bundle: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    master_host: string;
                    agent_name: string;
                    /** @default true */
                    with_updater?: boolean;
                    /** @default false */
                    use_ipvlan?: boolean;
                    /** @default null */
                    services_ini?: string | null;
                };
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        token: string;
                        command: string;
                        expires_at: string;
                        host_uuid: string;
                    };
                };
            };
        };
    };
    get_swarm_enroll_bundle_file: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                file: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/x-shellscript": string;
                    "application/gzip": string;
                };
            };
        };
    };
    get_healthz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @enum {string} */
                        status: "ok";
                    };
                };
            };
        };
    };
    get_readyz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @enum {string} */
                        status: "ready" | "not ready";
                        checks: {
                            [key: string]: string;
                        };
                    };
                };
            };
        };
    };
    get_metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    get_openapi_json: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
        };
    };
    get_docs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
        };
    };
}
