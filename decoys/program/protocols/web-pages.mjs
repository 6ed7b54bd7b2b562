/** The skins of FAKE_APP: a login page each, where a scanner looks for it. Texts and markup are our own. */
const page = (title, body) =>
  `<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>${title}</title></head>\n<body>\n${body}\n</body>\n</html>\n`;

const login = (action, user, password) =>
  `<form method="post" action="${action}">\n<p><label>Username <input name="${user}" autocomplete="username"></label></p>\n` +
  `<p><label>Password <input name="${password}" type="password"></label></p>\n<p><input type="submit" value="Log In"></p>\n</form>`;

const plain = (title) => ({ home: page(title, `<h1>${title}</h1>`), paths: {}, headers: {} });

/** `home` answers `/`, `paths` others (a page, or a place to go to), `headers` go with every answer. */
export const SKINS = {
  none: plain('It works!'),
  wordpress: {
    home: page(
      'My Site',
      '<meta name="generator" content="WordPress 6.4.3">\n<h1>My Site</h1>\n<p>Just another site.</p>\n<a href="/wp-login.php">Log in</a>',
    ),
    paths: {
      '/wp-login.php': page('Log In', `<h1>WordPress</h1>\n${login('/wp-login.php', 'log', 'pwd')}`),
      '/wp-admin/': { to: '/wp-login.php' },
      '/wp-admin': { to: '/wp-login.php' },
    },
    headers: { 'X-Powered-By': 'PHP/8.2.7' },
  },
  phpmyadmin: {
    home: page('phpMyAdmin', `<h1>Welcome to phpMyAdmin</h1>\n${login('/index.php', 'pma_username', 'pma_password')}`),
    paths: { '/phpmyadmin': { to: '/' }, '/phpmyadmin/': { to: '/' } },
    headers: { 'X-Powered-By': 'PHP/8.2.7' },
  },
  tomcat: {
    home: page('Apache Tomcat/9.0.85', '<h1>Apache Tomcat/9.0.85</h1>\n<a href="/manager/html">Manager App</a>'),
    paths: {
      '/manager/html': { realm: 'Tomcat Manager Application' },
      '/host-manager/html': { realm: 'Tomcat Host Manager Application' },
    },
    headers: {},
  },
  jenkins: {
    home: { to: '/login?from=%2F' },
    paths: {
      '/login': page(
        'Sign in - Jenkins',
        `<h1>Sign in to Jenkins</h1>\n${login('/j_spring_security_check', 'j_username', 'j_password')}`,
      ),
    },
    headers: { 'X-Jenkins': '2.426.3' },
  },
};
